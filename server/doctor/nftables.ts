import { fits, flagsMatch, type Json, valueOf } from "./nft-values.ts";
import { type Chains, is, type Match, type Packet, type Rule, type Verdict } from "./walk.ts";

/** A chain that the kernel itself sends packets to. */
export interface BaseChain {
  /** `inet filter input`, which is also its name in {@link Ruleset.chains}. */
  readonly name: string;
  readonly family: string;
  readonly hook: string;
  readonly type: string;
  readonly priority: number;
  readonly policy: string;
  /** Of a chain of netdev: the interface that it hangs at. */
  readonly device: string | undefined;
}

export interface Ruleset {
  readonly bases: readonly BaseChain[];
  readonly chains: Chains;
}

interface Place {
  readonly family: string;
  readonly table: string;
}
/** Elements of a set, or pairs of a map; undefined = not known. A limit's name, such as `inet filter limit x`, gives what it says. */
type Sets = ReadonlyMap<string, readonly unknown[] | undefined>;

/** Reads `nft -j list ruleset`; undefined = it is not whole. The rules' own words are in `nft -a list ruleset`, by their handles. */
export function readNftables(listing: string, text: string): Ruleset | undefined {
  const nftables = partsOf(listing);
  if (nftables === undefined) return undefined;
  const of = (kind: string): Json[] => nftables.flatMap((each) => (kind in each ? [each[kind] as Json] : []));
  const words = wordsOf(text);
  const sets: Sets = new Map<string, readonly unknown[]>([
    ...[...of("set"), ...of("map")].map(
      (set) => [`${nameOf(set)} ${String(set["name"])}`, set["elem"] as unknown[]] as const,
    ),
    ...LIMITS.flatMap((kind) =>
      of(kind).map((limit) => [`${nameOf(limit)} ${kind} ${String(limit["name"])}`, [limit]] as const),
    ),
  ]);
  const asleep = new Set(
    of("table")
      .filter(({ flags }) => JSON.stringify(flags ?? "").includes("dormant"))
      .map(({ family, name }) => `${String(family)} ${String(name)}`),
  );
  const chains = new Map<string, Rule[]>();
  const bases: BaseChain[] = [];
  for (const chain of of("chain")) {
    const name = `${nameOf(chain)} ${String(chain["name"])}`;
    chains.set(name, []);
    const { hook, type, prio, policy, dev } = chain;
    if (typeof hook !== "string" || asleep.has(nameOf(chain))) continue;
    bases.push({
      name,
      family: String(chain["family"]),
      hook,
      type: String(type),
      priority: Number(prio),
      policy: policy === "drop" ? "drop" : "accept",
      device: typeof dev === "string" ? dev : undefined,
    });
  }
  for (const rule of of("rule")) {
    const chain = `${nameOf(rule)} ${String(rule["chain"])}`;
    const expr = (rule["expr"] ?? []) as readonly Json[];
    const place = { family: String(rule["family"]), table: String(rule["table"]) };
    const said = words.get(`${chain} ${String(rule["handle"])}`) ?? JSON.stringify(expr);
    const number = typeof rule["handle"] === "number" ? rule["handle"] : undefined;
    chains.get(chain)?.push({
      text: said,
      chain,
      number,
      borders: () => numbersIn(expr, place, sets),
      judge: (packet) => judge(expr, packet, place, sets),
    });
  }
  return { bases, chains };
}

function partsOf(listing: string): readonly Json[] | undefined {
  try {
    return (JSON.parse(listing) as { readonly nftables?: readonly Json[] }).nftables;
  } catch {
    return undefined;
  }
}

function nameOf(each: Json): string {
  return `${String(each["family"])} ${String(each["table"])}`;
}

/** `nft -a list ruleset` has a line for each rule, which ends in its handle. */
function wordsOf(text: string): Map<string, string> {
  const words = new Map<string, string>();
  let table = "";
  let chain = "";
  for (const line of text.split("\n")) {
    const [, family = "", name = ""] = /^table (\S+) (\S+) \{/.exec(line) ?? [];
    if (family !== "") table = `${family} ${name}`;
    chain = /^\tchain (\S+) \{/.exec(line)?.[1] ?? chain;
    const [, rule = "", handle = ""] = /^\t\t(.*) # handle (\d+)$/.exec(line) ?? [];
    if (handle !== "") words.set(`${table} ${chain} ${handle}`, rule.replace(/ packets \d+ bytes \d+/g, ""));
  }
  return words;
}

/** Statements that hold while something is under (or over) a limit. */
const LIMITS = ["limit", "quota", "ct count"] as const;

/** A client that comes for the first time is over none. */
function limitMatch(kind: string, limit: unknown, { family, table }: Place, sets: Sets): Match | undefined {
  if (!LIMITS.some((each) => each === kind)) return undefined;
  const [named] =
    typeof limit === "string" ? (sets.get(`${family} ${table} ${kind} ${limit}`) ?? []) : [limit];
  return named === undefined ? "unknown" : is((named as Json)["inv"] !== true);
}

/** What is done for each element that a rule adds to a set, or to a meter. */
function statementsWithin(kind: string, inside: Json | null): Json[] {
  if (kind !== "set" && kind !== "map" && kind !== "meter") return [];
  return [inside?.["stmt"] ?? []].flat() as Json[];
}

/** Statements that let a packet go on to the next rule. */
const GOES_ON =
  /^(counter|log|mangle|flow|notrack|ct helper|ct timeout|ct expectation|masquerade|snat|dup|set|map|meter|last|comment|secmark)$/;

function judge(
  expr: readonly Json[],
  packet: Packet,
  place: Place,
  sets: Sets,
): { readonly match: Match; readonly verdict: Verdict } {
  const matches: Match[] = [];
  let verdict: Verdict = { kind: "next" };
  for (const statement of expr) {
    const [kind = "", content] = Object.entries(statement)[0] ?? [];
    const inside = (typeof content === "object" ? content : null) as Json | null;
    for (const each of statementsWithin(kind, inside)) {
      const [name = "", limit] = Object.entries(each)[0] ?? [];
      matches.push(limitMatch(name, limit, place, sets) ?? (GOES_ON.test(name) ? "all" : "unknown"));
    }
    const limited = limitMatch(kind, content, place, sets);
    if (limited !== undefined) matches.push(limited);
    else if (kind === "match")
      matches.push(flagsMatch(inside ?? {}, packet) ?? matchOf(inside ?? {}, packet, place, sets));
    else if (kind === "vmap") {
      const looked = lookUp(inside ?? {}, packet, place, sets);
      matches.push(looked.match);
      verdict = looked.verdict;
    } else if (kind === "dnat" || kind === "redirect") {
      const { addr, port } = inside ?? {};
      verdict = translation(addr, port) ?? { kind: "unknown" };
    } else if (!GOES_ON.test(kind)) verdict = verdictOf(statement, place) ?? { kind: "unknown" };
    if (kind === "xt") matches.push("unknown");
  }
  const match =
    (["none", "unknown", "some", "most"] as const).find((each) => matches.includes(each)) ?? "all";
  return { match, verdict };
}

/** Undefined = it takes the address or the port out of a map. */
function translation(to: unknown, port: unknown): Verdict | undefined {
  if (to !== undefined && typeof to !== "string") return undefined;
  if (port === undefined || typeof port === "number") return { kind: "translate", to, port };
  const range = (port as Json | null)?.["range"] as readonly [number, number] | undefined;
  return range && { kind: "translate", to, port: undefined, range };
}

/** Every number in an expression, and in the sets that it names. */
function numbersIn(expression: unknown, place: Place, sets: Sets): number[] {
  if (typeof expression === "number") return [expression];
  if (typeof expression === "string" && expression.startsWith("@")) {
    const elements = sets.get(`${place.family} ${place.table} ${expression.slice(1)}`);
    return numbersIn(elements, place, sets);
  }
  if (typeof expression !== "object" || expression === null) return [];
  return Object.values(expression).flatMap((part) => numbersIn(part, place, sets));
}

function verdictOf(statement: unknown, { family, table }: Place): Verdict | undefined {
  const [kind = "", content] = Object.entries((statement ?? {}) as Json)[0] ?? [];
  if (kind === "accept" || kind === "drop" || kind === "return") return { kind };
  if (kind === "reject") return { kind: "drop" };
  if (kind === "continue") return { kind: "next" };
  if (kind !== "jump" && kind !== "goto") return undefined;
  return { kind, chain: `${family} ${table} ${String((content as Json)["target"])}` };
}

/** A verdict map: what it says of the packet's key. */
function lookUp(
  map: Json,
  packet: Packet,
  place: Place,
  sets: Sets,
): { readonly match: Match; readonly verdict: Verdict } {
  const pairs = membersOf(map["data"], place, sets) as readonly (readonly [unknown, unknown])[] | undefined;
  const key = valueOf(map["key"], packet);
  if (key === "absent" || pairs?.length === 0) return { match: "none", verdict: { kind: "next" } };
  if (pairs === undefined || typeof key === "string") {
    const isForSome = key === "client" && pairs !== undefined;
    return { match: isForSome ? "some" : "unknown", verdict: { kind: "unknown" } };
  }
  const found = pairs.find(([element]) => fits(key.value, element));
  if (found === undefined) return { match: "none", verdict: { kind: "next" } };
  return { match: "all", verdict: verdictOf(found[1], place) ?? { kind: "unknown" } };
}

function matchOf({ left, right, op }: Json, packet: Packet, place: Place, sets: Sets): Match {
  const value = valueOf(left, packet);
  if (value === "absent") return "none";
  const isNot = op === "!=";
  if (value === "client") return isNot ? "most" : "some";
  const members = membersOf(right, place, sets);
  if (value === "unknown" || members === undefined) return "unknown";
  const [only] = members;
  if (op === "<" || op === ">" || op === "<=" || op === ">=")
    return is(compares(op, Number(value.value), Number(only)));
  return is(members.some((member) => fits(value.value, member)) !== isNot);
}

function compares(op: "<" | ">" | "<=" | ">=", value: number, limit: number): boolean {
  if (op === "<") return value < limit;
  if (op === ">") return value > limit;
  return op === "<=" ? value <= limit : value >= limit;
}

/** What is on the right: one value, a list, a set, or the name of one. */
function membersOf(right: unknown, { family, table }: Place, sets: Sets): readonly unknown[] | undefined {
  if (typeof right === "string" && right.startsWith("@")) {
    const name = `${family} ${table} ${right.slice(1)}`;
    return sets.has(name) ? (sets.get(name) ?? []) : undefined;
  }
  if (Array.isArray(right)) return right as unknown[];
  if (typeof right === "object" && right !== null && "set" in right) {
    const { set } = right as { readonly set: unknown };
    return Array.isArray(set) ? (set as unknown[]) : [set];
  }
  return [right];
}
