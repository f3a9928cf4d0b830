import { fileURLToPath } from "node:url";
import type { Argv } from "./exec.ts";

/** The folder of this tree, with a slash at its end. */
export const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

/** The two programs: with TOCK_BUILT=1 (`npm test`) as `npm run build` made them, else the sources, which start slower. */
const isBuilt = process.env["TOCK_BUILT"] === "1";
const client = `${REPOSITORY}${isBuilt ? "dist/tock.js" : "client/cli.ts"}`;
const daemon = `${REPOSITORY}${isBuilt ? "dist/tockd.js" : "server/cli.ts"}`;

/** The folders that the daemon is made of. */
export const DAEMON_FOLDERS = [...(isBuilt ? ["dist"] : ["server", "shared"]), "node_modules"];

export function tock(...args: string[]): Argv {
  return [process.execPath, client, ...args];
}

export function tockd(...args: string[]): Argv {
  return [process.execPath, daemon, ...args];
}
