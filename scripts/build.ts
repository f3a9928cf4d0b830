import { chmod, readFile, rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { buildWeb } from "./build-web.ts";

// One file a program, nothing minified: what is installed can be read. The same sources give the same bytes.

const root = new URL("..", import.meta.url);
const { values } = parseArgs({ options: { outdir: { type: "string", default: "dist" } } });

const manifest = JSON.parse(await readFile(new URL("package.json", root), "utf8")) as {
  version: string;
  engines: { node: string };
};

await rm(new URL(`${values.outdir}/`, root), { recursive: true, force: true });
const result = await build({
  absWorkingDir: root.pathname,
  entryPoints: { tock: "client/cli.ts", tockd: "server/cli.ts" },
  outdir: values.outdir,
  bundle: true,
  platform: "node",
  format: "esm",
  target: `node${manifest.engines.node.replace(/^>=/, "")}`,
  // Native code comes from its own packages: koffi for the daemon, the keyring for whoever wants it.
  external: ["koffi", "@napi-rs/keyring"],
  define: { TOCK_VERSION: JSON.stringify(manifest.version) },
  // CommonJS dependencies ask for Node's modules by require().
  banner: {
    js: 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);',
  },
  charset: "utf8",
  legalComments: "inline",
  logLevel: "warning",
  metafile: true,
});

for (const [file, { bytes }] of Object.entries(result.metafile.outputs)) {
  await chmod(new URL(file, root), 0o755);
  console.log(`${file}  ${Math.ceil(bytes / 1024)} kB`);
}
await buildWeb(new URL(`${values.outdir}/`, root));
