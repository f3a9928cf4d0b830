import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build, transform, type Plugin } from "esbuild";
import { parseSync } from "oxc-parser";

/**
 * Bundles the fuzz targets with a probe at every branch of Tock's own code. The probes tell which transitions between
 * branches a run took (as AFL does): `globalThis.__tock(place)` is called with a number for each branch.
 */

const root = fileURLToPath(new URL("../../", import.meta.url));
const OWN = /\/(shared|server|client)\/.*\.ts$/;

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

/** Gives the path of the bundle, and how many branches have a probe. */
export async function bundleTargets(): Promise<{ readonly file: string; readonly branches: number }> {
  let branches = 0;
  const probes: Plugin = {
    name: "probes",
    setup(builder) {
      builder.onLoad({ filter: OWN }, async ({ path }) => {
        const source = await readFile(path, "utf8");
        const { code } = await transform(source, { loader: "ts", target: "node24", sourcefile: path });
        return { contents: insertProbes(code, () => branches++), loader: "js" };
      });
    },
  };
  const file = `${root}build/fuzz-targets-${process.pid}.mjs`;
  await build({
    absWorkingDir: root,
    entryPoints: ["test/fuzz/targets.ts"],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    packages: "external",
    logLevel: "warning",
    plugins: [probes],
  });
  return { file, branches };
}

/** Puts a probe at the start of every block and case, and before every arm of `?:`, `&&`, `||`, `??` and arrow. */
function insertProbes(code: string, next: () => number): string {
  const inserts: { readonly at: number; readonly text: string; readonly order: number }[] = [];
  const wrap = (node: Node): void => {
    inserts.push({ at: node.start, text: `(__tock(${next()}),`, order: node.end });
    inserts.push({ at: node.end, text: ")", order: -node.start });
  };
  const visit = (node: Node): void => {
    if (node.type === "BlockStatement") {
      inserts.push({ at: node.start + 1, text: `__tock(${next()});`, order: 0 });
    } else if (node.type === "SwitchCase") {
      const [first] = node["consequent"] as Node[];
      if (first)
        inserts.push({ at: first.start, text: `__tock(${next()});`, order: Number.MAX_SAFE_INTEGER });
    } else if (node.type === "ConditionalExpression") {
      wrap(node["consequent"] as Node);
      wrap(node["alternate"] as Node);
    } else if (node.type === "LogicalExpression") {
      wrap(node["right"] as Node);
    } else if (node.type === "IfStatement") {
      const then = node["consequent"] as Node;
      if (then.type !== "BlockStatement") {
        inserts.push({ at: then.start, text: `{__tock(${next()});`, order: Number.MAX_SAFE_INTEGER });
        inserts.push({ at: then.end, text: "}", order: -Number.MAX_SAFE_INTEGER });
      }
    }
    for (const value of Object.values(node)) each(value, visit);
  };
  each(parseSync("bundle.js", code).program, visit);
  // Of what begins at one place the outermost comes first; of what ends there it comes last.
  inserts.sort((a, b) => a.at - b.at || (a.text === ")" || b.text === ")" ? ends(a, b) : b.order - a.order));
  let result = "";
  let from = 0;
  for (const { at, text } of inserts) {
    result += code.slice(from, at) + text;
    from = at;
  }
  return result + code.slice(from);
}

function ends(a: { text: string; order: number }, b: { text: string; order: number }): number {
  return a.text === b.text ? a.order - b.order : a.text === ")" ? -1 : 1;
}

function each(value: unknown, visit: (node: Node) => void): void {
  if (Array.isArray(value)) for (const item of value as unknown[]) each(item, visit);
  else if (typeof value === "object" && value !== null && "type" in value && "start" in value) {
    visit(value as Node);
  }
}
