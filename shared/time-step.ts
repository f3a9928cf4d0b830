import { type TimeStep, timeStep, type UnixMillis } from "./brand.ts";
import { STEP_MILLIS } from "./constants.ts";

/** The time step that an instant lies in (RFC 6238 §4.2). */
export function stepAt(now: UnixMillis): TimeStep {
  return timeStep(Math.floor(now / STEP_MILLIS));
}

/** The first millisecond of a step. */
export function stepStart(step: TimeStep): UnixMillis {
  return (step * STEP_MILLIS) as UnixMillis;
}

/** Milliseconds until the step of `now` ends: 1 to 30,000. */
export function millisLeft(now: UnixMillis): number {
  return STEP_MILLIS - (now % STEP_MILLIS);
}

/** How many steps before and after the current one are accepted. */
export interface Skew {
  readonly past: number;
  readonly future: number;
}

/** The steps accepted at `now`, oldest first. Steps before 1970 do not exist and are left out. */
export function skewWindow(now: UnixMillis, skew: Skew): TimeStep[] {
  const current = stepAt(now);
  const first = Math.max(0, current - skew.past);
  return Array.from({ length: current + skew.future - first + 1 }, (_, index) => timeStep(first + index));
}
