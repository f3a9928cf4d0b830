import { chmod, readFile, rm } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { buildWeb } from "./build-web.ts";

// One file a program, nothing minified: what is installed can be read. The same sources give the same bytes.

const root = new URL("..", import.meta.url);
const { values } = parseArgs({ options: { outdir: { type: "string", default: "dist" } } });

const manifest = JSON.parse(await readFile(new URL("package.json", root), "utf8")) as {
  version: string;
  engines: { node: string };
};

/**
 * Takes from a module of Node just what is used, when the first module that uses it runs. Left alone, esbuild moves
 * every such import to the top of the file, where opening a door would wait for HTTP, SQLite and child processes; and
 * an import statement for node:fs or node:util makes Node load all that hangs on it, which takes 3 ms each.
 */
const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: "builtin" }));
    build.onLoad({ filter: /.*/, namespace: "builtin" }, async ({ path }) => {
      const names = Object.keys((await import(path)) as object).filter((name) => name !== "default");
      const lines = [
        `const builtin = /* @__PURE__ */ process.getBuiltinModule(${JSON.stringify(path)});`,
        "const take = (name) => builtin[name];",
        "export default builtin;",
        ...names.map((name) => `export const ${name} = /* @__PURE__ */ take(${JSON.stringify(name)});`),
      ];
      return { contents: lines.join("\n") };
    });
  },
};

await rm(new URL(`${values.outdir}/`, root), { recursive: true, force: true });
const common = {
  absWorkingDir: root.pathname,
  outdir: values.outdir,
  bundle: true,
  platform: "node",
  format: "esm",
  target: `node${manifest.engines.node.replace(/^>=/, "")}`,
  // Native code comes from its own packages: koffi for the daemon, the keyring for whoever wants it.
  external: ["koffi", "@napi-rs/keyring"],
  define: { TOCK_VERSION: JSON.stringify(manifest.version) },
  charset: "utf8",
  legalComments: "inline",
  plugins: [lazyBuiltins],
  logLevel: "warning",
  metafile: true,
} satisfies BuildOptions;

const client = await build({
  ...common,
  entryPoints: { tock: "client/cli.ts" },
  // The client counts time steps and reads base32; that needs none of the hashes that otpauth comes with.
  alias: { otpauth: "otpauth/bare" },
});
const server = await build({
  ...common,
  entryPoints: { tockd: "server/cli.ts" },
  // CommonJS dependencies ask for Node's modules by require().
  banner: {
    js: 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);',
  },
});

for (const [file, { bytes }] of Object.entries({ ...client.metafile.outputs, ...server.metafile.outputs })) {
  await chmod(new URL(file, root), 0o755);
  console.log(`${file}  ${Math.ceil(bytes / 1024)} kB`);
}
await buildWeb(new URL(`${values.outdir}/`, root));
