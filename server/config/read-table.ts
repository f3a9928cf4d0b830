import * as v from "valibot";
import { HINT } from "./leaf.ts";
import type { Path } from "./locate.ts";
import { type Complaint, formatPath, shown } from "./mistake.ts";
import { nearest } from "./nearest.ts";

/** For keys that have no default. */
const EXAMPLES: Readonly<Record<string, string>> = {
  name: 'name = "myserver"',
  addresses: 'addresses = ["203.0.113.7"]',
  ports: 'ports = ["tcp/22"]',
  services: 'services = ["ssh"]',
};

type Table = Record<string, unknown>;
type TableSchema = v.ObjectSchema<v.ObjectEntries, undefined>;

/** A TOML table: dates and lists are objects too, but no tables. */
function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === null;
}

/** Reads tables of the parsed document against their schemas and gathers every complaint. */
export class TableReader {
  readonly complaints: Complaint[] = [];

  complain(path: Path, message: string, hint?: string): void {
    this.complaints.push({ path, message, hint });
  }

  /** The table at `path`; an empty one where it is missing, undefined (and a complaint) where it is something else. */
  table(path: Path, raw: unknown): Table | undefined {
    if (raw === undefined) return Object.create(null) as Table;
    if (isTable(raw)) return raw;
    this.complain(
      path,
      `expected a table, got ${shown(raw)}`,
      `write [${formatPath(path)}] on a line of its own`,
    );
    return undefined;
  }

  /** Complains of every key that is not one of `known`. */
  unknownKeys(path: Path, table: Table, known: readonly string[]): void {
    for (const key of Object.keys(table)) {
      if (known.includes(key)) continue;
      const close = nearest(key, known);
      const hint = close === undefined ? `known here: ${known.join(", ")}` : `did you mean ${close}?`;
      this.complain([...path, key], `unknown ${isTable(table[key]) ? "table" : "key"}`, hint);
    }
  }

  /**
   * What the table says, with defaults filled in. Keys with mistakes are complained of and left out, so that the rest
   * can still be checked.
   */
  read<S extends TableSchema>(path: Path, raw: unknown, schema: S): Partial<v.InferOutput<S>> {
    const table = this.table(path, raw) ?? {};
    this.unknownKeys(path, table, Object.keys(schema.entries));
    const parsed = v.safeParse(schema, table);
    const wrong = new Set(parsed.issues?.map((issue) => issue.path?.[0]?.key));
    if (isTable(raw) || raw === undefined) for (const issue of parsed.issues ?? []) this.#issue(path, issue);
    const right = Object.entries(parsed.output as object).filter(([key]) => !wrong.has(key));
    return Object.fromEntries(right) as Partial<v.InferOutput<S>>;
  }

  /** The last part of `path`, where it is a name that `schema` takes; else a complaint. */
  name<T>(path: readonly [string, string], schema: v.GenericSchema<unknown, T>): T | undefined {
    const parsed = v.safeParse(schema, path[1]);
    if (parsed.success) return parsed.output;
    for (const issue of parsed.issues) this.#issue(path, issue);
    return undefined;
  }

  #issue(path: Path, issue: v.BaseIssue<unknown>): void {
    const items = issue.path ?? [];
    const where = [...path, ...items.map((item) => item.key as string | number)];
    if (items.at(-1)?.origin === "key") {
      const key = String(where.at(-1));
      this.complain(path, `${key} is missing`, `add a line such as ${EXAMPLES[key] ?? `${key} = …`}`);
      return;
    }
    const [message = "", hint] = issue.message.split(HINT);
    this.complain(where, message, hint);
  }
}
