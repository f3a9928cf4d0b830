import { join } from "node:path";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { skewWindow } from "../../shared/time-step.ts";
import { callDaemon } from "../admin/client.ts";
import type { Settings } from "../config/settings.ts";
import { DeviceTable } from "../core/device-table.ts";
import { ReplayWindow } from "../core/replay-window.ts";
import { openFirewall } from "../firewalls.ts";
import { GuardKeeper } from "../guard-keeper.ts";
import { GuardWish } from "../guard-wish.ts";
import { engineOf } from "../kernel/follow.ts";
import { makeLog } from "../log.ts";
import { Audit } from "../audit.ts";
import { guardPlanOf, mayKnock, systemNow } from "../plans.ts";
import { openJournal } from "../store/journal.ts";
import { flock } from "../sys/libc.ts";
import { type Context, withStore } from "./context.ts";

/** A timer that fires every 30 seconds may be late: the rules of the steps that begin until then are put in too. */
const LEAD = 45_000;

/** `tockd rules --apply`: one round of what the kernel engine does, for a timer instead of a daemon. */
export async function applyRules(settings: Settings, { ui }: Context): Promise<void> {
  if (settings.server.engine !== "kernel") {
    const hint = 'write engine = "kernel" under [server] first';
    throw new TockError("refused", 'rules --apply: [server] engine is "packets"', hint);
  }
  const daemon = await callDaemon(settings.server.socket, "status", undefined);
  if (daemon.ok) throw new TockError("refused", "rules --apply: tockd is running, and does this by itself");
  await withStore(settings, (store) => {
    const serverId = store.identity.id;
    const journal = unwrap(
      openJournal({
        path: join(settings.server.state, "journal"),
        serverId,
        skew: settings.skew,
        now: systemNow(),
        lock: (fd) => flock(fd) === 0,
      }),
    );
    const log = makeLog({ human: true, verbose: false });
    const { emit } = new Audit(log);
    const { firewall, rules } = unwrap(
      openFirewall(settings, { log: (line) => log.debug(line), now: () => performance.now() }),
    );
    try {
      const wish = new GuardWish(settings.server.state);
      if (!wish.isOn) throw new TockError("refused", "rules --apply: the guard is off", "tockd guard on");
      const guard = new GuardKeeper(firewall, guardPlanOf(settings), wish, () => undefined);
      if (unwrap(guard.state) !== "on") unwrap(guard.on());
      const devices = new DeviceTable({ serverId, skew: settings.skew, knock: undefined, seed: [0, 0] });
      for (const device of unwrap(store.loadAll()).devices) devices.put(device, mayKnock(settings, device));
      const replays = new ReplayWindow<undefined>(journal.spent);
      for (const entry of journal.entries) replays.record(entry, entry.source, undefined);
      const steps = skewWindow(systemNow(), settings.skew);
      const [oldest, newest] = [steps[0], steps.at(-1)];
      if (oldest !== undefined && newest !== undefined) unwrap(journal.forget(oldest, newest));
      if (rules === undefined) return;
      const engine = engineOf(
        {
          settings,
          serverId,
          devices,
          rules,
          firewall,
          replays,
          journal: (use, source) => journal.append(use, source),
          granted: () => undefined,
          emit,
          log,
        },
        LEAD,
      );
      unwrap(engine.begin());
    } finally {
      firewall.dispose();
      journal.close();
    }
  });
  ui.note("rules: applied\n");
}
