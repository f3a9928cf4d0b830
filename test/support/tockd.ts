import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type UnixMillis, unixMillis } from "../../shared/brand.ts";
import { main } from "../../server/main.ts";

/** The clock of tests, unless they set another: 2026-11-22 12:00:00 UTC. */
export const NOON = unixMillis(Date.UTC(2026, 10, 22, 12));

export interface Ran {
  readonly code: number;
  /** What was printed as the result. */
  readonly out: string;
  /** Errors, hints and notes. */
  readonly note: string;
}

/** Runs one command of tockd in this process, with everything that the program itself does but its real clock. */
export async function tockd(args: readonly string[], now: UnixMillis = NOON, columns?: number): Promise<Ran> {
  const printed = { out: "", note: "" };
  const code = await main(args, {
    ui: {
      out: (text) => void (printed.out += text),
      note: (text) => void (printed.note += text),
      columns,
      colour: false,
    },
    now: () => now,
    random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
    hostname: "testhost.example.org",
    person: undefined,
  });
  return { code, ...printed };
}

/** A folder of mode 0700 that goes when the test is over. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "tockd-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
