/** A new connection from anywhere to a port of this machine, as a firewall would see it. */
export interface Probe {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
}

/** What becomes of it: the rule or the chain that drops it, in the firewall's own words; undefined = it gets through. */
export type Obstacle = { readonly where: string; readonly rule: string } | undefined;

/** Whether a rule is about the probe: `some` = about some of its kind only, such as one source network. */
type Match = "all" | "some" | "none";
type Outcome = "accept" | "drop" | "return";

/**
 * What iptables-save's table filter does with a probe on its way into this machine. Rules that ask for more than protocol, port
 * and connection state hold for some packets only: as acceptance they do not count, and as refusal neither.
 */
export function inIptables(saved: string, probe: Probe): Obstacle {
  const chains = new Map<string, string[]>();
  const policies = new Map<string, string>();
  let isFilter = false;
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) isFilter = line === "*filter";
    if (!isFilter) continue;
    const [, chain, policy] = /^:(\S+) (\S+)/.exec(line) ?? [];
    if (chain !== undefined && policy !== undefined) policies.set(chain, policy);
    const [, name, rule] = /^-A (\S+) ?(.*)$/.exec(line) ?? [];
    if (name !== undefined && rule !== undefined) chains.set(name, [...(chains.get(name) ?? []), rule]);
  }
  let dropped: Obstacle;
  const walk = (chain: string, depth: number): Outcome => {
    for (const whole of depth > 32 ? [] : (chains.get(chain) ?? [])) {
      const rule = whole.replace(/(^| )-m comment --comment (?:"(?:[^"\\]|\\.)*"|\S+)/g, "");
      if (iptablesMatch(rule, probe) !== "all") continue;
      const target = /(?:^| )-[jg] (\S+)/.exec(rule)?.[1];
      if (target === "ACCEPT") return "accept";
      if (target === "DROP" || target === "REJECT") {
        dropped = { where: `chain ${chain}`, rule: `-A ${chain} ${whole}` };
        return "drop";
      }
      if (target === "RETURN") return "return";
      const inner = target !== undefined && chains.has(target) ? walk(target, depth + 1) : "return";
      if (inner !== "return") return inner;
    }
    return "return";
  };
  const outcome = walk("INPUT", 0);
  if (outcome === "drop") return dropped;
  if (outcome === "accept" || policies.get("INPUT") !== "DROP") return undefined;
  return { where: "chain INPUT", rule: "-P INPUT DROP" };
}

function iptablesMatch(rule: string, { protocol, port }: Probe): Match {
  let rest = ` ${rule} `.replace(/ -[jg] \S+.*$/, " ");
  const take = (pattern: RegExp): string | undefined => {
    const found = pattern.exec(rest);
    if (found !== null) rest = rest.replace(pattern, " ");
    return found?.[1];
  };
  const of = take(/ -p (\S+)(?= )/);
  if (of !== undefined && of !== protocol && of !== "all") return "none";
  const states = take(/ -m (?:conntrack|state) --(?:ctstate|state) (\S+)(?= )/);
  if (states !== undefined && !states.split(",").includes("NEW")) return "none";
  const ports = take(/ (?:-m \S+ )?--(?:dports?|destination-ports?) (\S+)(?= )/);
  if (ports !== undefined) {
    const isIn = ports.split(",").some((range) => {
      const [first = "", last = first] = range.split(":");
      return Number(first) <= port && port <= Number(last);
    });
    if (!isIn) return "none";
  }
  rest = rest
    .replace(/ -m (?:tcp|udp|multiport)(?= )/g, " ")
    .replace(/ -d (?:0\.0\.0\.0\/0|::\/0)(?= )/g, " ");
  return rest.trim() === "" ? "all" : "some";
}

interface NftRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly expr: readonly Readonly<Record<string, unknown>>[];
}

interface NftChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly type?: string;
  readonly policy?: string;
}

/** The same for `nft -j list ruleset`: every base chain at the hook input has its say. Tables of iptables are left out. */
export function inNftables(listing: string, probe: Probe): Obstacle {
  const { nftables = [] } = JSON.parse(listing) as { nftables?: Readonly<Record<string, unknown>>[] };
  const chains = nftables.flatMap((each) => ("chain" in each ? [each["chain"] as NftChain] : []));
  const rules = nftables.flatMap((each) => ("rule" in each ? [each["rule"] as NftRule] : []));
  for (const base of chains) {
    const isInput = base.hook === "input" && base.type === "filter" && base.table !== "tock";
    const ofIptables = /^(ip|ip6)$/.test(base.family) && base.table === "filter" && base.name === "INPUT";
    if (!isInput || ofIptables || !/^(inet|ip|ip6)$/.test(base.family)) continue;
    const obstacle = walkNft(base, rules, probe);
    if (obstacle !== undefined) return obstacle;
  }
  return undefined;
}

function walkNft(base: NftChain, rules: readonly NftRule[], probe: Probe): Obstacle {
  const place = (chain: string): string => `${base.family} ${base.table} ${chain}`;
  let dropped: Obstacle;
  const walk = (name: string, depth: number): Outcome => {
    const own = rules.filter(
      (rule) => rule.family === base.family && rule.table === base.table && rule.chain === name,
    );
    for (const { expr } of depth > 32 ? [] : own) {
      const last = expr.at(-1) ?? {};
      if (nftMatch(expr, probe) !== "all") continue;
      if ("accept" in last) return "accept";
      if ("drop" in last || "reject" in last) {
        dropped = { where: `chain ${place(name)}`, rule: `${Object.keys(last)[0]} in chain ${place(name)}` };
        return "drop";
      }
      if ("return" in last) return "return";
      const to = (last["jump"] ?? last["goto"]) as { readonly target?: string } | undefined;
      const inner = to?.target === undefined ? "return" : walk(to.target, depth + 1);
      if (inner !== "return") return inner;
    }
    return "return";
  };
  const outcome = walk(base.name, 0);
  if (outcome === "drop") return dropped;
  if (outcome === "accept" || base.policy !== "drop") return undefined;
  return { where: `chain ${place(base.name)}`, rule: `policy drop of chain ${place(base.name)}` };
}

function nftMatch(expr: NftRule["expr"], probe: Probe): Match {
  let match: Match = "all";
  for (const each of expr) {
    const test = each["match"] as { left?: unknown; right?: unknown; op?: string } | undefined;
    if (test === undefined) {
      if ("xt" in each || "vmap" in each || "limit" in each) match = "some";
      continue;
    }
    const left = JSON.stringify(test.left);
    const isNot = test.op === "!=";
    const values = listOf(test.right);
    if (left.includes('"dport"')) {
      const isOf = left.includes(`"${probe.protocol}"`) || left.includes('"th"');
      const isIn = values.some((value) => covers(value, probe.port));
      if (!isOf || isIn === isNot) return "none";
    } else if (
      left.includes('"l4proto"') ||
      left.includes('"nexthdr"') ||
      left === '{"payload":{"protocol":"ip","field":"protocol"}}'
    ) {
      if (values.includes(probe.protocol) === isNot) return "none";
    } else if (left === '{"ct":{"key":"state"}}') {
      if (values.includes("new") === isNot) return "none";
    } else match = "some";
  }
  return match;
}

function listOf(right: unknown): unknown[] {
  if (typeof right === "object" && right !== null && "set" in right) return right.set as unknown[];
  return Array.isArray(right) ? right : [right];
}

function covers(value: unknown, port: number): boolean {
  if (typeof value === "number") return value === port;
  if (typeof value !== "object" || value === null || !("range" in value)) return false;
  const [first = 0, last = 0] = value.range as number[];
  return first <= port && port <= last;
}
