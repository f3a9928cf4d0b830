import { readFile } from "node:fs/promises";
import { type BuildOptions, build, type Plugin } from "esbuild";

const root = new URL("..", import.meta.url);

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

/** What each program has of its own. */
const PROGRAMS = {
  tock: {
    entryPoints: { tock: "client/cli.ts" },
    // The client counts time steps and reads base32; that needs none of the hashes that otpauth comes with.
    alias: { otpauth: "otpauth/bare" },
  },
  tockd: {
    entryPoints: { tockd: "server/cli.ts" },
    // CommonJS dependencies ask for Node's modules by require().
    banner: {
      js: 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);',
    },
  },
} as const satisfies Readonly<Record<string, BuildOptions>>;

/** Puts a program with all that it needs into one file, `outdir`/NAME.js. Gives the files made, with their sizes. */
export async function bundle(program: keyof typeof PROGRAMS, outdir: string): Promise<Map<string, number>> {
  const manifest = JSON.parse(await readFile(new URL("package.json", root), "utf8")) as {
    version: string;
    engines: { node: string };
  };
  const { metafile } = await build({
    ...PROGRAMS[program],
    absWorkingDir: root.pathname,
    outdir,
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
  });
  return new Map(Object.entries(metafile.outputs).map(([file, { bytes }]) => [file, bytes]));
}
