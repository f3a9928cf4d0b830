import { parseArgs } from "node:util";
import { quote } from "../shared/brand.ts";
import { usage } from "./ui.ts";

/** An option of a command: a switch, or one that takes a value (`value` is what the help calls it). */
export interface Option {
  readonly help: string;
  readonly short?: string;
  readonly value?: string;
}
export type Options = Readonly<Record<string, Option>>;

/** What the user gave: the value of each option, true for a switch. */
export type Given<O extends Options> = {
  readonly [Name in keyof O]?: O[Name] extends { readonly value: string } ? string : true;
};

/** The words of a command that are no options, as the help writes them: `<profile>` must be there, `[service]` may. */
export interface Shape<O extends Options = Options> {
  readonly name: string;
  readonly words: readonly string[];
  readonly options: O;
  /** Everything after the words belongs to another program and is not looked at. */
  readonly rest?: string;
}

export interface Arguments<O extends Options = Options> {
  readonly given: Given<O>;
  readonly words: readonly string[];
  readonly rest: readonly string[];
}

/** Options that every command takes. */
export const COMMON = {
  json: { help: "print the result as JSON" },
  verbose: { short: "v", help: "say what happens, on standard error" },
  help: { short: "h", help: "show this help" },
} as const satisfies Options;

/** Takes a command line apart. Mistakes are thrown as `usage` errors that name the argument. */
export function parseArguments<O extends Options>(shape: Shape<O>, argv: readonly string[]): Arguments<O> {
  const options: Options = { ...shape.options, ...COMMON };
  const [own, rest] = shape.rest === undefined ? [argv, []] : splitRest(shape, options, argv);
  const config = Object.fromEntries(
    Object.entries(options).map(([name, { short, value }]) => [
      name,
      { type: value === undefined ? "boolean" : "string", ...(short !== undefined && { short }) } as const,
    ]),
  );
  const { tokens } = parseArgs({ args: [...own], options: config, strict: false, tokens: true });
  const given: Record<string, string | true> = {};
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) throw unknownOption(token.rawName, Object.keys(options), shape.name);
    if (Object.hasOwn(given, token.name)) throw usage(`${token.rawName} is given twice`);
    given[token.name] = valueOf(token, option);
  }
  if (given["help"] === undefined) checkWords(shape, words);
  return { given: given as Given<O>, words, rest };
}

function valueOf(
  token: { rawName: string; value?: string | undefined; inlineValue?: boolean | undefined },
  option: Option,
) {
  if (option.value === undefined) {
    if (token.value !== undefined) throw usage(`${token.rawName} takes no value, got ${quote(token.value)}`);
    return true;
  }
  // "--for --json" is a value that was forgotten, not one that begins with a dash.
  if (
    token.value === undefined ||
    token.value === "" ||
    (token.inlineValue !== true && /^-./.test(token.value))
  ) {
    throw usage(`${token.rawName} needs a value: ${option.value}`);
  }
  return token.value;
}

function checkWords(shape: Shape, words: readonly string[]): void {
  const missing = shape.words[words.length];
  if (missing?.startsWith("<")) throw usage(`${missing} is missing`, `see tock ${shape.name} --help`);
  const extra = words[shape.words.length];
  if (extra !== undefined)
    throw usage(`unexpected argument ${quote(extra)}`, `see tock ${shape.name} --help`);
}

/** Cuts the arguments after the last word of ours; options of ours stand before it. */
function splitRest(
  shape: Shape,
  options: Options,
  argv: readonly string[],
): [readonly string[], readonly string[]] {
  let words = 0;
  for (let at = 0; at < argv.length; at++) {
    const text = argv[at] ?? "";
    if (text.startsWith("-") && text !== "-") {
      const name = text.replace(/^--?/, "");
      const option = Object.entries(options).find(
        ([long, { short }]) => (text.startsWith("--") ? long : short) === name,
      );
      if (option?.[1].value !== undefined) at++;
    } else if (++words === shape.words.length) {
      return [argv.slice(0, at + 1), argv.slice(at + 1)];
    }
  }
  return [argv, []];
}

function unknownOption(raw: string, names: readonly string[], command: string) {
  const near = nearest(raw.replace(/^-+/, ""), names);
  return usage(
    `unknown option ${quote(raw)}`,
    near === undefined ? `see tock ${command} --help` : `did you mean --${near}?`,
  );
}

/** The name that is at most two typing mistakes away, if there is one. */
export function nearest(text: string, names: readonly string[]): string | undefined {
  const near = names
    .map((name) => ({ name, distance: distance(text, name) }))
    .filter(({ name, distance }) => distance <= 2 && distance < name.length - 1)
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.name;
}

/** Letters to insert, delete, replace or swap with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const cost = (di: number, dj: number) => rows[i - di]?.[j - dj] ?? 0;
      row[j] = Math.min(cost(1, 0) + 1, (row[j - 1] ?? 0) + 1, cost(1, 1) + (same ? 0 : 1));
      if (swapped) row[j] = Math.min(row[j] ?? 0, cost(2, 2) + 1);
    }
    rows.push(row);
  }
  return rows[a.length]?.[b.length] ?? 0;
}
