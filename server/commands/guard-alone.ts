import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Settings } from "../config/settings.ts";
import type { AuditEvent } from "../core/event.ts";
import type { Firewall, GuardState } from "../core/firewall.ts";
import { createFirewall } from "../firewall/create.ts";
import { openFirewall } from "../firewalls.ts";
import { GuardKeeper } from "../guard-keeper.ts";
import { GuardWish } from "../guard-wish.ts";
import { guardPlanOf } from "../plans.ts";

/** Does something about the guard without a daemon, and tells what came of it. */
export function alone<T>(
  settings: Settings,
  body: (keeper: GuardKeeper) => Result<T>,
  emit: (event: AuditEvent) => void = () => undefined,
): Result<T> {
  if (process.geteuid?.() !== 0)
    return err(new TockError("permission", "guard: not permitted", "run as root"));
  const opened = openFirewall(settings, { log: () => undefined, now: () => performance.now() });
  if (!opened.ok) return opened;
  const { firewall } = opened.value;
  try {
    const wish = new GuardWish(settings.server.state);
    return body(new GuardKeeper(firewall, guardPlanOf(settings), wish, emit));
  } finally {
    firewall.dispose();
  }
}

/** How the guard stands, as the kernel has it. */
export interface GuardLook {
  readonly state: GuardState;
  /** Seconds until a guard on trial takes itself off. */
  readonly trial: number | undefined;
  readonly allow: readonly string[];
}

export function lookAlone(settings: Settings): Result<GuardLook> {
  return alone(settings, (keeper) => {
    const { state } = keeper;
    return state.ok ? ok({ state: state.value, trial: keeper.trialSeconds, allow: keeper.allow }) : state;
  });
}

const BACKENDS = [
  { name: "nftables" },
  { name: "iptables", variant: "-nft" },
  { name: "iptables", variant: "-legacy" },
] as const;

/** Another backend than the configured one whose guard stands, be it whole or not: no grant of this one's gets past it. */
export function otherGuard(settings: Settings): Firewall["name"] | undefined {
  const { backend } = settings.firewall;
  const stands = ({ name, ...variant }: (typeof BACKENDS)[number]): boolean => {
    const opened = createFirewall(name, { ...variant, log: () => undefined, now: () => performance.now() });
    if (!opened.ok) return false;
    const state = opened.value.guardState(guardPlanOf(settings));
    opened.value.dispose();
    // A machine without its programs has no guard of theirs.
    return state.ok && state.value !== "off";
  };
  return BACKENDS.find((each) => each.name !== backend && stands(each))?.name;
}
