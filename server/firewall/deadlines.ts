import { type GrantKey, type GrantSet, nameOf } from "./grant-set.ts";

/** Entries before the first look for those whose time is over. */
const FIRST_TIDY = 1024;

/** When the kernel drops what this process has put in, by a monotonic clock in ms. What others did is not known here. */
export class Deadlines {
  readonly #now: () => number;
  readonly #byEntry = new Map<string, number>();
  #tidyAt = FIRST_TIDY;

  constructor(now: () => number) {
    this.#now = now;
  }

  get(entry: string): number | undefined {
    return this.#byEntry.get(entry);
  }

  /** Whether this process has put it in, and its time is not over. */
  isOpen(entry: string): boolean {
    return (this.#byEntry.get(entry) ?? 0) > this.#now();
  }

  set(entry: string, deadline: number): void {
    this.#byEntry.set(entry, deadline);
    if (this.#byEntry.size > this.#tidyAt) this.#tidy();
  }

  delete(entry: string): void {
    this.#byEntry.delete(entry);
  }

  #tidy(): void {
    const now = this.#now();
    for (const [entry, deadline] of this.#byEntry) if (deadline <= now) this.#byEntry.delete(entry);
    this.#tidyAt = Math.max(FIRST_TIDY, this.#byEntry.size * 2);
  }
}

/** What tells an entry from all others of a backend; `protocol` where a set has one entry for each. */
export function entryName(set: GrantSet, { source, sourcePort }: GrantKey, protocol?: number): string {
  return `${nameOf(set)} ${source.text} ${protocol ?? ""} ${sourcePort ?? ""}`;
}
