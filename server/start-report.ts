import type { Settings } from "./config/settings.ts";
import type { DataPath } from "./data-path.ts";
import type { GuardKeeper } from "./guard-keeper.ts";
import { knocking, knockWarning } from "./knock-warning.ts";
import type { Log } from "./log.ts";
import { systemNow } from "./plans.ts";
import type { Journal } from "./store/journal.ts";
import { VERSION } from "../shared/version.ts";

/** What the owner should know when the daemon has started; the last line is `ready`. */
export function reportStart(
  settings: Settings,
  { journal, guard, path, log }: { journal: Journal; guard: GuardKeeper; path: DataPath; log: Log },
): void {
  const left = journal.refusingUntil - systemNow();
  if (journal.distrust !== undefined && left > 0) {
    log.warn(
      { reason: journal.distrust, seconds: Math.ceil(left / 1000) },
      "replay journal not trusted: packets are refused for a while, to be safe",
    );
  }
  const state = guard.state;
  if (state.ok && state.value === "off") {
    log.warn("the guard is off: protected ports are open to everybody; tockd guard on");
  }
  const guessable = knockWarning(settings, knocking(settings, path.devices.devices()));
  if (guessable !== undefined) log.warn(guessable, "knock sequences could be guessed");
  const { backend } = settings.firewall;
  const { engine } = settings.server;
  log.info({ engine, backend, filter: path.filter, devices: path.devices.size, version: VERSION }, "ready");
}
