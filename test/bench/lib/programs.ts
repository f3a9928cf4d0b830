import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Argv, must } from "../../lab/exec.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The programs as `npm run build` makes them: what is installed is what is measured. */
export const TOCK = join(root, "dist/tock.js");
export const TOCKD = join(root, "dist/tockd.js");
export const PAGE = `file://${join(root, "dist/tock.html")}`;
export const NODE = process.execPath;

/** The C programs, compiled into a folder of their own. Remove the folder afterwards. */
export interface Programs {
  readonly folder: string;
  readonly probe: Argv;
  readonly flood: string;
  readonly door: string;
  readonly race: string;
}

export async function compile(): Promise<Programs> {
  const folder = mkdtempSync(join(tmpdir(), "tock-bench-"));
  const build = async (name: string, ...libraries: string[]): Promise<string> => {
    const source = join(root, "test/bench/c", `${name}.c`);
    const out = join(folder, name);
    await must(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", out, source, ...libraries], {
      timeout: 60_000,
    });
    return out;
  };
  return {
    folder,
    probe: [await build("probe")],
    flood: await build("flood"),
    door: await build("door", "-lsodium"),
    race: await build("race"),
  };
}
