import type { Settings } from "../config/settings.ts";
import type { GuardState } from "../core/firewall.ts";
import { openFirewall } from "../firewalls.ts";
import { GuardKeeper } from "../guard-keeper.ts";
import { GuardWish } from "../guard-wish.ts";
import { guardPlanOf } from "../plans.ts";

/** What the guard is like where no daemon tells; undefined = that cannot be seen. */
export function guardOf(settings: Settings): GuardState | undefined {
  const opened = openFirewall(settings, { log: () => undefined, now: () => performance.now() });
  if (!opened.ok) return undefined;
  const { firewall } = opened.value;
  const keeper = new GuardKeeper(
    firewall,
    guardPlanOf(settings),
    new GuardWish(settings.server.state),
    () => undefined,
  );
  try {
    const { state } = keeper;
    return state.ok ? state.value : undefined;
  } finally {
    firewall.dispose();
  }
}
