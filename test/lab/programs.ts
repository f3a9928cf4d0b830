import { fileURLToPath } from "node:url";
import type { Argv } from "./exec.ts";

/** The two programs as they stand in this tree, run unbuilt. */
const client = fileURLToPath(new URL("../../client/cli.ts", import.meta.url));
const daemon = fileURLToPath(new URL("../../server/cli.ts", import.meta.url));

export function tock(...args: string[]): Argv {
  return [process.execPath, client, ...args];
}

export function tockd(...args: string[]): Argv {
  return [process.execPath, daemon, ...args];
}
