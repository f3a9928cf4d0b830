import { uptime } from "node:os";
import type { UnixMillis } from "../shared/brand.ts";
import { systemNow } from "./plans.ts";

export interface Clocks {
  /** The clock that packets are judged by; it can be set. */
  readonly wall: () => UnixMillis;
  /** Milliseconds that only ever go on; cheap to ask. It may stand still while the machine sleeps. */
  readonly monotonic: () => number;
  /** Milliseconds since boot, sleep included. */
  readonly boot: () => number;
}

export const systemClocks: Clocks = {
  wall: systemNow,
  monotonic: () => performance.now(),
  boot: () => uptime() * 1000,
};

/** Clocks that are corrected drift apart by half a millisecond a second at most; a jump is more than this. */
const JUMP = 2_000;

/**
 * The time, watched: whoever asks for it also has it compared with a clock that nobody sets. A machine may start with a clock
 * that is behind, and put it right a minute later. What was lost before the start then lies in steps that are yet to come.
 */
export class ClockWatch {
  readonly #clocks: Clocks;
  readonly #jumped: (to: UnixMillis) => void;
  /** When it was last asked for, by both clocks. */
  #wall: number;
  #monotonic: number;
  /** What the wall clock was ahead of the time since boot by, when that was last looked at. */
  #ahead: number;

  /** `jumped` is called before the first time after a jump forward is given. */
  constructor(clocks: Clocks, jumped: (to: UnixMillis) => void) {
    this.#clocks = clocks;
    this.#jumped = jumped;
    this.#wall = clocks.wall();
    this.#monotonic = clocks.monotonic();
    this.#ahead = this.#wall - clocks.boot();
  }

  /** A function of its own, to be handed around. */
  readonly now = (): UnixMillis => {
    const wall = this.#clocks.wall();
    const monotonic = this.#clocks.monotonic();
    const drift = wall - this.#wall - (monotonic - this.#monotonic);
    this.#wall = wall;
    this.#monotonic = monotonic;
    if (Math.abs(drift) > JUMP) this.#look(wall);
    return wall;
  };

  /** Sleep looks like a jump to one clock, and not to the other. */
  #look(wall: UnixMillis): void {
    const before = this.#ahead;
    this.#ahead = wall - this.#clocks.boot();
    if (this.#ahead - before > JUMP) this.#jumped(wall);
  }
}
