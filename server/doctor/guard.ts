import type { GuardState } from "../core/firewall.ts";
import { type Finding, fail, fine, warn } from "./finding.ts";

/** How the guard stands. `trial`: seconds until it takes itself off; `now`: unix milliseconds. */
export function lookAtGuard(
  { state, trial }: { readonly state: GuardState; readonly trial: number | undefined },
  now: number,
): Finding[] {
  if (trial !== undefined) {
    const end = new Date(now + trial * 1000).toTimeString().slice(0, 8);
    const message = `${state}, on trial until ${end}: it takes itself off then, in ${trial} s`;
    return [warn("guard", message, "tockd guard confirm keeps it")];
  }
  if (state === "on") return [fine("guard", "on")];
  return [fail("guard", `${state}: protected ports may be open to everybody`, "tockd guard on")];
}

/** A guard of a backend that the configuration does not name. */
export function tellOther(backend: string): Finding {
  return fail(
    "guard",
    `a guard of ${backend} stands, and the configuration names another backend`,
    "restart the daemon, and where it is still there: tockd guard on takes its place, tockd guard off takes it out",
  );
}
