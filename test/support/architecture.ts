import { posix } from "node:path";
import { parseSync } from "oxc-parser";

/** A source file: its path from the repository's root, with `/`, and its text. */
export type Source = { path: string; text: string };

type Node = { type: string; [field: string]: unknown };
type Import = { from: string; dynamic: boolean };
type Rule = { words: string; broken: (file: Facts) => string[] };
type Facts = { path: string; lines: number; imports: Import[]; uses: string[] };

const MAX_LINES = 300;

/** Files that may be longer, and why. */
export const LONG_FILES: Record<string, string> = {};

const PARTS = ["capture", "store", "firewall", "admin"];
const PART = new RegExp(`^server/(${PARTS.join("|")})/`);

// What the runtime, the machine or the moment gives. A local variable of such a name is refused too:
// it would mislead the reader.
const AMBIENT = new Set(
  "process Buffer global globalThis performance console fetch document navigator localStorage crypto setTimeout setInterval setImmediate queueMicrotask require Temporal".split(
    " ",
  ),
);
const AMBIENT_MEMBERS = new Set(["Date.now", "Math.random"]);

export const RULES: Rule[] = [
  {
    words: "shared imports only itself, otpauth and the noble libraries",
    broken: (file) =>
      inside(file, "shared/", (name) => !/^(shared\/|otpauth$|@noble\/(ciphers|hashes|curves)\/)/.test(name)),
  },
  {
    words: "server/core imports only itself and shared",
    broken: (file) => inside(file, "server/core/", (name) => !/^(server\/core|shared)\//.test(name)),
  },
  {
    words: "client never imports server",
    broken: (file) => inside(file, "client/", (name) => name.startsWith("server/")),
  },
  {
    words: "server never imports client",
    broken: (file) => inside(file, "server/", (name) => name.startsWith("client/")),
  },
  {
    words: "the page in client/web uses nothing of Node and of the command line",
    broken: (file) => inside(file, "client/web/", (name) => /^(node:|client\/(?!web\/))/.test(name)),
  },
  {
    words: "capture, store, firewall and admin never import each other: they meet in server/daemon.ts",
    broken: (file) => {
      const own = PART.exec(file.path)?.[0];
      return own === undefined ? [] : inside(file, own, (name) => PART.test(name) && !name.startsWith(own));
    },
  },
  {
    words:
      "capture, store, firewall, admin, sys and core know nothing of the daemon and the commands above them",
    broken: (file) =>
      /^server\/(capture|store|firewall|admin|sys|core)\//.test(file.path)
        ? inside(file, "", (name) => /^server\/(daemon\.ts|cli\.ts|commands\/)/.test(name))
        : [],
  },
  {
    words: "koffi, and so every call into libc, is in server/sys alone",
    broken: (file) => (file.path.startsWith("server/sys/") ? [] : inside(file, "", isPackage("koffi"))),
  },
  {
    words: "the optional keyring is imported when it is asked for, not when the program starts",
    broken: ({ imports }) =>
      imports.filter(({ from, dynamic }) => from === "@napi-rs/keyring" && !dynamic).map(({ from }) => from),
  },
  {
    words: "the product never imports tests or scripts",
    broken: (file) => inside(file, "", (name) => /^(test|scripts)\//.test(name)),
  },
  {
    words: "shared and server/core take clock, randomness and everything else of the outside as arguments",
    broken: ({ path, uses }) => (/^(shared|server\/core)\//.test(path) ? uses : []),
  },
  {
    words: `no file is longer than ${MAX_LINES} lines without a reason`,
    broken: ({ path, lines }) => (lines > MAX_LINES && !(path in LONG_FILES) ? [`${lines} lines`] : []),
  },
];

/** One line a broken rule: `path: what (the rule)`. Text that does not parse is an error. */
export function violations(source: Source): string[] {
  const file = facts(source);
  return RULES.flatMap(({ words, broken }) => broken(file).map((what) => `${file.path}: ${what} (${words})`));
}

function inside({ path, imports }: Facts, folder: string, wrong: (name: string) => boolean): string[] {
  if (!path.startsWith(folder)) return [];
  return imports.filter(({ from }) => wrong(from)).map(({ from }) => `imports ${from}`);
}

function isPackage(name: string): (from: string) => boolean {
  return (from) => from === name || from.startsWith(`${name}/`);
}

function facts({ path, text }: Source): Facts {
  const { program, errors } = parseSync(path, text);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  const file: Facts = { path, lines: text.split("\n").length - 1, imports: [], uses: [] };
  visit(program as unknown as Node, (node) => {
    const from = literal(node["source"]);
    if (from !== undefined) {
      file.imports.push({
        from: from.startsWith(".") ? posix.join(posix.dirname(path), from) : from,
        // Types are gone when the program runs.
        dynamic:
          node.type === "ImportExpression" || node.type === "TSImportType" || node["importKind"] === "type",
      });
    }
    const use = ambientUse(node);
    if (use !== undefined) file.uses.push(`uses ${use}`);
  });
  return file;
}

/** Imports and exports from a module, `import()` and types of `import("…")` all keep its name in `source`. */
function literal(node: unknown): string | undefined {
  return isNode(node) && node.type === "Literal" && typeof node["value"] === "string"
    ? node["value"]
    : undefined;
}

function ambientUse(node: Node): string | undefined {
  if (node.type === "Identifier") return AMBIENT.has(nameOf(node)) ? nameOf(node) : undefined;
  if (node.type === "MemberExpression") {
    const member = `${nameOf(node["object"])}.${nameOf(node["property"]) || literal(node["property"])}`;
    return AMBIENT_MEMBERS.has(member) ? member : undefined;
  }
  const makesDate = node.type === "NewExpression" || node.type === "CallExpression";
  const isNow =
    makesDate && nameOf(node["callee"]) === "Date" && (node["arguments"] as unknown[]).length === 0;
  return isNow ? "Date()" : undefined;
}

function nameOf(node: unknown): string {
  return isNode(node) && node.type === "Identifier" ? String(node["name"]) : "";
}

/** Every node, but not the names of properties: `host.process` is no use of `process`. */
function visit(node: Node, see: (node: Node) => void): void {
  see(node);
  for (const [field, value] of Object.entries(node)) {
    if ((field === "property" || field === "key") && node["computed"] === false) continue;
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, see);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}
