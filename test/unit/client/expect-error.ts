import { expect } from "vitest";
import type { Output } from "../../lab/exec.ts";

/** Exit code, message, hint. A `*` at the end of a text stands for whatever follows. */
export type Failure = readonly [code: number, message: string, hint?: string];

/** A failure of `tock`: its exit code, its words on standard error, and nothing on standard output. */
export function expectFailure({ code, stdout, stderr }: Output, [exit, message, hint]: Failure): void {
  const [first, ...more] = stderr.trimEnd().split("\n");
  expect(code, stderr).toBe(exit);
  expect(stdout).toBe("");
  expectText(first, `tock: error: ${message}`);
  expect(more.length, stderr).toBe(hint === undefined ? 0 : 1);
  if (hint !== undefined) expectText(more[0], `tock: hint: ${hint}`);
}

function expectText(text: string | undefined, wanted: string): void {
  if (wanted.endsWith("*")) expect(text?.slice(0, wanted.length - 1)).toBe(wanted.slice(0, -1));
  else expect(text).toBe(wanted);
}
