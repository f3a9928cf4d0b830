import { chmod, rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { buildWeb } from "./build-web.ts";
import { bundle } from "./bundle.ts";

// One file a program, white space taken out but no name changed. The same sources give the same bytes.

const root = new URL("..", import.meta.url);
const { values } = parseArgs({ options: { outdir: { type: "string", default: "dist" } } });

await rm(new URL(`${values.outdir}/`, root), { recursive: true, force: true });
for (const program of ["tock", "tockd"] as const) {
  for (const [file, bytes] of await bundle(program, values.outdir)) {
    await chmod(new URL(file, root), 0o755);
    console.log(`${file}  ${Math.ceil(bytes / 1024)} kB`);
  }
}
await buildWeb(new URL(`${values.outdir}/`, root));
