import { interfaceTo, type Interfaces } from "./interfaces.ts";
import { readIptables, type Table } from "./iptables.ts";
import type { Look } from "./look.ts";
import { type BaseChain, readNftables, type Ruleset } from "./nftables.ts";
import { type Chains, type Outcome, type Packet, type Rule, walk } from "./walk.ts";

/** Everything that filters packets on this machine, Tock's own guard apart. */
export interface Firewalls {
  /** By the program that changes them. */
  readonly iptables: readonly {
    readonly program: string;
    readonly family: 4 | 6;
    readonly tables: ReadonlyMap<string, Table>;
  }[];
  readonly nft: Ruleset;
  /** Commands that should have told more, and failed. */
  readonly unread: readonly string[];
}

/** What stands in a packet's way. */
export interface Obstacle {
  /** `nft`, `iptables-legacy` and so on. */
  readonly program: string;
  /** In the kernel's words: `input`, `ingress` and so on. */
  readonly hook: string;
  /** The table, the base chain and the chain of the rule, as the program names them. */
  readonly table: string;
  readonly base: string;
  readonly chain: string;
  /** Where another rule has its say, and those before it keep theirs. */
  readonly spot: Spot;
  /** The rule in its own words, or the policy. */
  readonly rule: string;
  /** `all` clients are dropped, `some` are let in, or it is `unknown`. */
  readonly certainty: "all" | "some" | "unknown";
  /** Where some are let in: by which rule. */
  readonly except: string | undefined;
  /** The chains that the packet went through. */
  readonly path: readonly string[];
  /** The packet as it was there. */
  readonly packet: Packet;
  /** It is what is sent back that is dropped. */
  readonly isAnswer: boolean;
}

/** A place for a rule: in front of one (its number, or its handle with nft), or else at the end. */
export interface Spot {
  readonly chain: string;
  readonly before: number | undefined;
}

/** Asks for no table by name: iptables-legacy would make it. */
export function readFirewalls(look: Look): Firewalls {
  const unread: string[] = [];
  const ask = (...argv: Parameters<Look>): string => {
    const printed = look(...argv);
    if (printed === undefined) unread.push(argv.join(" "));
    return printed ?? "";
  };
  const iptables = (["", "6"] as const).flatMap((six) =>
    (["nft", "legacy"] as const).map((variant) => ({
      program: `ip${six}tables-${variant}`,
      family: six === "" ? (4 as const) : (6 as const),
      tables: readIptables(ask(`ip${six}tables-${variant}-save`)),
    })),
  );
  const listing = ask("nft", "-j", "list", "ruleset");
  const nft = listing === "" ? NO_RULES : readNftables(listing, ask("nft", "-a", "list", "ruleset"));
  // Debian 12's nft breaks off in the middle where a table is dormant.
  if (nft === undefined) unread.push("nft -j list ruleset");
  return { iptables, nft: nft ?? NO_RULES, unread };
}

const NO_RULES: Ruleset = { bases: [], chains: new Map() };

/** A place on the way: a base chain of either kind. */
interface Stop {
  readonly program: string;
  readonly hook: string;
  readonly table: string;
  readonly base: string;
  readonly policy: string;
  readonly chains: Chains;
  readonly pass: (packet: Packet) => Outcome;
}

/** What stands in the way of a connection's first packet and of what is sent back, in each base chain that they come to. */
export function obstacles(firewalls: Firewalls, packet: Packet, own: Interfaces): Obstacle[] {
  const before = stops(firewalls, packet, "prerouting", (type) => type !== "nat");
  const nat = stops(firewalls, packet, "prerouting", (type) => type === "nat");
  const moved = packet.lead === undefined ? translate(nat, packet, own) : led(packet, packet.lead, own);
  const arrived = { ...moved, isTarget: nat.some((stop) => leadsTo(stop, moved, own)) };
  const hook = arrived.local ? "input" : "forward";
  const after = stops(firewalls, arrived, hook, (type) => type !== "nat");
  const isStopped = after.some((stop) => obstacleAt(stop, arrived).length > 0);
  const answer = answerTo(arrived);
  const back = stops(
    firewalls,
    answer,
    arrived.local ? "output" : "forward",
    (type) => type !== "nat",
  ).flatMap((stop) => obstacleAt(stop, answer, true));
  return [
    ...atWire(firewalls, packet),
    ...before.flatMap((stop) => obstacleAt(stop, packet)),
    ...after.flatMap((stop) => obstacleAt(stop, arrived)),
    ...(isStopped ? [] : back),
  ];
}

/** What stands in a packet's way right behind the interface, where Tock does not see it either. */
export function atWire(firewalls: Firewalls, packet: Packet): Obstacle[] {
  return stops(firewalls, packet, "ingress", () => true).flatMap((stop) => obstacleAt(stop, packet));
}

/** What stands in the way of a reply of Tock's own: conntrack never saw the packet that it is for. */
export function replyObstacles(firewalls: Firewalls, packet: Packet): Obstacle[] {
  const reply: Packet = { ...answerTo(packet), state: "new", sentTo: undefined };
  return stops(firewalls, reply, "output", (type) => type !== "nat").flatMap((stop) =>
    obstacleAt(stop, reply, true),
  );
}

/** What is sent back to where a packet came from; conntrack knows the connection by then. */
function answerTo({ from, out, port, ...packet }: Packet): Packet {
  return {
    ...packet,
    state: "established",
    from: out,
    out: from,
    local: false,
    to: undefined,
    sourcePort: port,
    port: undefined,
  };
}

function translate(nat: readonly Stop[], packet: Packet, own: Interfaces): Packet {
  for (const { pass } of nat) {
    const { verdict } = pass(packet);
    if (verdict.kind !== "translate") continue;
    const { to = packet.to, port = packet.port } = verdict;
    const local = isHere(verdict.to, own);
    const out = local ? undefined : interfaceTo(to, own);
    return { ...packet, to, destination: verdict.to, port, local, out, translated: true };
  }
  return packet;
}

/** Whether a translation to it leads to this machine; undefined = it names no address. */
export function isHere(address: string | undefined, own: Interfaces): boolean {
  return (
    address === undefined || Object.values(own).some((list) => list?.some((each) => each.address === address))
  );
}

/** Whether some rule leads packets to other ports to this packet's, on this machine: the guard goes by those. */
function leadsTo({ chains }: Stop, packet: Packet, own: Interfaces): boolean {
  return [...chains.values()].flat().some(({ judge }) => {
    const { verdict } = judge(packet);
    return verdict.kind === "translate" && verdict.port === packet.port && isHere(verdict.to, own);
  });
}

/** By Tock, which comes before any other translation. */
function led(packet: Packet, { address, port }: NonNullable<Packet["lead"]>, own: Interfaces): Packet {
  const out = interfaceTo(address, own);
  return {
    ...packet,
    to: address,
    destination: address,
    port,
    local: false,
    out,
    translated: true,
    led: true,
  };
}

/** The base chains at a hook. The order does not matter where each has its say. */
export function stops(
  firewalls: Firewalls,
  packet: Packet,
  hook: string,
  isWanted: (type: string) => boolean,
): Stop[] {
  const { family } = packet;
  const chain = hook.toUpperCase();
  const ofIptables = firewalls.iptables
    .filter((each) => each.family === family)
    .flatMap(({ program, tables }) =>
      [...tables].flatMap(([table, { chains, policies }]): Stop[] => {
        const policy = policies.get(chain);
        if (policy === undefined || !isWanted(table)) return [];
        const pass = (each: Packet): Outcome => walk(chains, chain, each);
        return [{ program, hook, table, base: chain, policy: policy.toLowerCase(), chains, pass }];
      }),
    );
  const { bases, chains } = firewalls.nft;
  const ofNft = bases
    .filter((base) => base.hook === hook && isWanted(base.type) && concerns(base, packet, firewalls))
    .map((base): Stop => {
      const pass = (each: Packet): Outcome => walk(chains, base.name, each);
      const { name, policy } = base;
      return { program: "nft", hook, table: tableOf(base), base: name, policy, chains, pass };
    });
  return [...ofIptables, ...ofNft];
}

function tableOf({ name }: BaseChain): string {
  return name.split(" ").slice(0, 2).join(" ");
}

/** Tables that iptables-nft could read are judged as its own: nft knows its matches only by name. */
function concerns(base: BaseChain, packet: Packet, { iptables }: Firewalls): boolean {
  const [family = "", table = ""] = base.name.split(" ");
  if (family === "inet" && table === "tock") return false;
  if (base.device !== undefined && packet.from !== undefined && base.device !== packet.from) return false;
  if (family === "netdev") return true;
  if (family === "inet") return true;
  if (family !== (packet.family === 4 ? "ip" : "ip6")) return false;
  const program = packet.family === 4 ? "iptables-nft" : "ip6tables-nft";
  return iptables.every((each) => each.program !== program || !each.tables.has(table));
}

function obstacleAt(stop: Stop, packet: Packet, isAnswer = false): Obstacle[] {
  const { verdict, rule, doubts, path } = stop.pass(packet);
  const policy = stop.program === "nft" ? `policy drop of chain ${stop.base}` : `-P ${stop.base} DROP`;
  const isDropped = verdict.kind === "drop" || (verdict.kind !== "accept" && stop.policy === "drop");
  const words = (text: string, chain: string): string =>
    stop.program === "nft" ? `${text} in chain ${chain}` : text;
  const decisive = rule !== undefined && verdict.kind === "drop" ? rule : undefined;
  const { program, hook, table, base } = stop;
  const place = { program, hook, table, base, path, packet, isAnswer };
  const unknown = doubts.find(
    ({ match, kind }) => match === "unknown" && kind !== (isDropped ? "drop" : "accept"),
  );
  if (unknown !== undefined) {
    const { chain, text } = unknown.rule;
    const spot = spotFor(stop, unknown.rule, path);
    return [{ ...place, chain, spot, rule: words(text, chain), certainty: "unknown", except: undefined }];
  }
  if (isDropped) {
    const exception = doubts.find(({ kind }) => kind === "accept" || kind === "return")?.rule;
    return [
      {
        ...place,
        chain: decisive?.chain ?? base,
        spot: spotFor(stop, rule, path),
        rule: decisive === undefined ? policy : words(decisive.text, decisive.chain),
        certainty: exception === undefined ? "all" : "some",
        except: exception && words(exception.text, exception.chain),
      },
    ];
  }
  const most = doubts.find(({ match, kind }) => match === "most" && kind === "drop")?.rule;
  if (most === undefined) return [];
  const { chain, text } = most;
  const spot = spotFor(stop, most, path);
  return [{ ...place, chain, spot, rule: words(text, chain), certainty: "some", except: undefined }];
}

/** In front of the rule that decides, or behind all others where the policy does; in Docker's chain for rules of others, not in its own. */
function spotFor({ base, chains }: Stop, rule: Rule | undefined, path: readonly string[]): Spot {
  const chain = rule?.chain ?? base;
  if (path.includes("DOCKER-USER") && (chain === base || /^DOCKER(?!-USER)/.test(chain))) {
    const last = chains.get("DOCKER-USER")?.at(-1);
    const before = last?.text === "-A DOCKER-USER -j RETURN" ? last.number : undefined;
    return { chain: "DOCKER-USER", before };
  }
  return { chain, before: rule?.number };
}
