import type { Summary } from "./stats.ts";

/** One row of a group: what was measured under which circumstances. Times in milliseconds unless the name says otherwise. */
export interface Row {
  readonly name: string;
  /** "idle", "warm" … */
  readonly when: string;
  readonly samples?: Summary;
  /** Trials that brought nothing. */
  readonly lost?: number;
  readonly figures?: Readonly<Record<string, number | string>>;
}

export interface Group {
  readonly id: "knock" | "junk" | "opens" | "growth" | "client" | "standing";
  readonly rows: readonly Row[];
  /** Lines that a reader must know to judge the rows. */
  readonly notes?: readonly string[];
}

/** How much to do: `quick` proves that all of it runs, and its figures mean nothing. */
export interface Scale {
  readonly quick: boolean;
}
