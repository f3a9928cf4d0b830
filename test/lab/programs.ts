import { fileURLToPath } from "node:url";
import type { Argv } from "./exec.ts";

/** The two programs as they stand in this tree, run unbuilt; with TOCK_BUILT=1 as `npm run build` made them. */
const isBuilt = process.env["TOCK_BUILT"] === "1";
const path = (file: string): string => fileURLToPath(new URL(`../../${file}`, import.meta.url));
const client = path(isBuilt ? "dist/tock.js" : "client/cli.ts");
const daemon = path(isBuilt ? "dist/tockd.js" : "server/cli.ts");

export function tock(...args: string[]): Argv {
  return [process.execPath, client, ...args];
}

export function tockd(...args: string[]): Argv {
  return [process.execPath, daemon, ...args];
}
