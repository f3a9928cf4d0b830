/**
 * Why a packet or a knock led to nothing. Strangers can cause the first five and the last one; the others take a
 * device's own key.
 *
 * - `size`, `form`: not of a size, or not a STUN Binding Request that carries a packet
 * - `tag`: no device has this tag in the steps of the window
 * - `forged`: a device's tag, but not made with its key
 * - `spent-step`: authentic, of a step in which packets may have been used that nobody remembers
 * - `malformed`: authentic, but not a request of this version
 * - `clock`: authentic, but its sending time is not of the step that its keys are of
 * - `duplicate`, `replay`: used already, from the same address or from another one
 * - `too-many`: the device has used more packets in this step than are remembered
 * - `journal`: it could not be written down as used
 * - `knock-used`: the device's knock sequence of this step was used already
 */
export const DROP_REASONS = [
  "size",
  "form",
  "tag",
  "forged",
  "spent-step",
  "malformed",
  "clock",
  "duplicate",
  "replay",
  "too-many",
  "journal",
  "knock-used",
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** Counts of what has happened, by name. Counting allocates nothing. */
export class Counters<Name extends string> {
  readonly #names: readonly Name[];
  readonly #index: ReadonlyMap<Name, number>;
  readonly #total: Float64Array;
  readonly #taken: Float64Array;

  constructor(names: readonly Name[]) {
    this.#names = names;
    this.#index = new Map(names.map((name, index) => [name, index]));
    this.#total = new Float64Array(names.length);
    this.#taken = new Float64Array(names.length);
  }

  count(name: Name, times = 1): void {
    const index = this.#index.get(name) ?? -1;
    this.#total[index] = (this.#total[index] ?? 0) + times;
  }

  /** Every count since the start. */
  totals(): Record<Name, number> {
    return this.#collect((index) => this.#total[index] ?? 0, true) as Record<Name, number>;
  }

  /** What was counted since the last call, without what was not; undefined where that is nothing. */
  take(): Partial<Record<Name, number>> | undefined {
    const counts = this.#collect((index) => (this.#total[index] ?? 0) - (this.#taken[index] ?? 0), false);
    this.#taken.set(this.#total);
    return Object.keys(counts).length === 0 ? undefined : counts;
  }

  #collect(value: (index: number) => number, zeros: boolean): Partial<Record<Name, number>> {
    const counts: Partial<Record<Name, number>> = {};
    for (const [index, name] of this.#names.entries()) {
      const count = value(index);
      if (zeros || count !== 0) counts[name] = count;
    }
    return counts;
  }
}
