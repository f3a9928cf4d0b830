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

/** Run first: an older Node would show a stack trace for what it lacks, or worse, seem to work. `least`: "24.12". */
function nodeCheck(program: string, least: string): string {
  return [
    "{",
    '  const [major, minor] = process.versions.node.split(".").map(Number);',
    `  const [leastMajor, leastMinor] = ${JSON.stringify(least.split(".").map(Number))};`,
    "  if (major < leastMajor || (major === leastMajor && minor < leastMinor)) {",
    `    console.error(\`tock: error: ${program} needs Node ${least} or later, and this is Node \${process.versions.node}\`);`,
    '    console.error("tock: hint: the Debian package brings its own: npm run package; else see https://nodejs.org");',
    "    process.exit(1);",
    "  }",
    "}",
  ].join("\n");
}

/** What each program has of its own. */
const PROGRAMS = {
  tock: {
    entryPoints: { tock: "client/cli.ts" },
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
  const own: BuildOptions = PROGRAMS[program];
  const manifest = JSON.parse(await readFile(new URL("package.json", root), "utf8")) as {
    version: string;
    engines: { node: string };
  };
  const least = manifest.engines.node.replace(/^>=/, "");
  const { metafile } = await build({
    ...own,
    banner: { js: [own.banner?.["js"], nodeCheck(program, least)].filter(Boolean).join("\n") },
    absWorkingDir: root.pathname,
    outdir,
    bundle: true,
    platform: "node",
    format: "esm",
    target: `node${least}`,
    // Native code comes from its own packages: koffi for the daemon, the keyring for whoever wants it.
    external: ["koffi", "@napi-rs/keyring"],
    define: { TOCK_VERSION: JSON.stringify(manifest.version) },
    // Node reads and scans the whole file before anything runs, and keeps it. Names stay those of the sources.
    minifyWhitespace: true,
    minifySyntax: true,
    // One byte a character: else all of it takes two in memory.
    charset: "ascii",
    legalComments: "inline",
    plugins: [lazyBuiltins],
    logLevel: "warning",
    metafile: true,
  });
  return new Map(Object.entries(metafile.outputs).map(([file, { bytes }]) => [file, bytes]));
}
