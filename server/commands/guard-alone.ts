import { TockError } from "../../shared/errors.ts";
import { err, type Result } from "../../shared/result.ts";
import type { Settings } from "../config/settings.ts";
import { openFirewall } from "../firewalls.ts";
import { GuardKeeper } from "../guard-keeper.ts";
import { GuardWish } from "../guard-wish.ts";
import { guardPlanOf } from "../plans.ts";

/** Does something about the guard without a daemon. */
export function alone<T>(settings: Settings, body: (keeper: GuardKeeper) => Result<T>): Result<T> {
  if (process.geteuid?.() !== 0)
    return err(new TockError("permission", "guard: not permitted", "run as root"));
  const opened = openFirewall(settings, { log: () => undefined, now: () => performance.now() });
  if (!opened.ok) return opened;
  const { firewall } = opened.value;
  try {
    const wish = new GuardWish(settings.server.state);
    return body(new GuardKeeper(firewall, guardPlanOf(settings), wish, () => undefined));
  } finally {
    firewall.dispose();
  }
}
