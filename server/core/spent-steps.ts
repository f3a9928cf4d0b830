import type { TimeStep } from "../../shared/brand.ts";

/** Single steps that are remembered: a server that is used in every step knows them for more than eight hours. */
export const MAX_SPENT = 1024;
/** Steps that a clock must be set back by before doubt follows it: ten minutes. */
const FAR = 20;

/**
 * Steps that nothing is accepted of any more, because it is not remembered what was used in them. A clock that is set
 * back brings such steps up again.
 *
 * - every step up to `floor`
 * - single steps after it: those that something was used in and forgotten. So a clock that runs ahead for a while, and
 *   is then put right, spends only the steps that were used while it did
 * - every step up to `doubt`: something may have been used in them that a crash of the machine has lost. Machines start
 *   with wrong clocks: when the clock is set back by far, so is the doubt, to the end of the window that is then; and
 *   when it jumps forward the doubt goes with it, as what was lost may lie in the steps between
 */
export class SpentSteps {
  readonly #single: Set<TimeStep>;
  #floor: number;
  #doubt: number;

  constructor(floor = -1, single: Iterable<TimeStep> = [], doubt = -1) {
    this.#floor = floor;
    this.#single = new Set(single);
    this.#doubt = doubt;
    this.#trim();
  }

  /** -1 = none. */
  get floor(): number {
    return this.#floor;
  }

  /** -1 = none. */
  get doubt(): number {
    return this.#doubt;
  }

  get single(): ReadonlySet<TimeStep> {
    return this.#single;
  }

  has(step: TimeStep): boolean {
    return step <= this.#floor || step <= this.#doubt || this.#single.has(step);
  }

  /** Spends a step. Where there are too many the oldest go, and the floor takes their place. */
  add(step: TimeStep): void {
    if (step <= this.#floor) return;
    this.#single.add(step);
    this.#trim();
  }

  /** Lets the doubt follow a clock that was set back by far; `newest` is the last step of the window. True if it did. */
  follow(newest: TimeStep): boolean {
    if (this.#doubt - newest <= FAR) return false;
    this.#doubt = newest;
    return true;
  }

  /** Doubts every step up to `newest`: the clock has jumped forward. True if there was anything to lose, and it did. */
  extend(newest: TimeStep): boolean {
    if ((this.#floor < 0 && this.#doubt < 0) || newest <= this.#doubt) return false;
    this.#doubt = newest;
    return true;
  }

  #trim(): void {
    const excess = this.#single.size - MAX_SPENT;
    if (excess <= 0) return;
    for (const step of [...this.#single].sort((a, b) => a - b).slice(0, excess)) {
      this.#single.delete(step);
      this.#floor = Math.max(this.#floor, step);
    }
  }
}
