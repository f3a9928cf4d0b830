/** What a look at one thing found. */
export interface Finding {
  /** What was looked at, in a word or two. */
  readonly name: string;
  /** `warn`: works, but may not everywhere or for long. `fail`: does not work. */
  readonly state: "ok" | "warn" | "fail";
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
  /** Commands that mend it as they stand, for a shell of root's. */
  readonly run?: readonly string[];
}

export function fine(name: string, message: string): Finding {
  return { name, state: "ok", message };
}

export function warn(name: string, message: string, hint: string): Finding {
  return { name, state: "warn", message, hint };
}

export function fail(name: string, message: string, hint: string): Finding {
  return { name, state: "fail", message, hint };
}
