import { interfaceTo, type Interfaces } from "./interfaces.ts";
import { readIptables, type Table } from "./iptables.ts";
import type { Look } from "./look.ts";
import { type BaseChain, readNftables, type Ruleset } from "./nftables.ts";
import { type Outcome, type Packet, walk } from "./walk.ts";

/** Everything that filters packets on this machine, Tock's own guard apart. */
export interface Firewalls {
  /** By the program that changes them. */
  readonly iptables: readonly {
    readonly program: string;
    readonly family: 4 | 6;
    readonly tables: ReadonlyMap<string, Table>;
  }[];
  readonly nft: Ruleset;
}

/** What stands in a packet's way. */
export interface Obstacle {
  /** `nft`, `iptables-legacy` and so on. */
  readonly program: string;
  /** The table, the base chain and the chain of the rule, as the program names them. */
  readonly table: string;
  readonly base: string;
  readonly chain: string;
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

/** Asks for no table by name: iptables-legacy would make it. */
export function readFirewalls(look: Look): Firewalls {
  const iptables = (["", "6"] as const).flatMap((six) =>
    (["nft", "legacy"] as const).map((variant) => ({
      program: `ip${six}tables-${variant}`,
      family: six === "" ? (4 as const) : (6 as const),
      tables: readIptables(look(`ip${six}tables-${variant}-save`)),
    })),
  );
  const listing = look("nft", "-j", "list", "ruleset");
  const nft =
    listing === ""
      ? { bases: [], chains: new Map() }
      : readNftables(listing, look("nft", "-a", "list", "ruleset"));
  return { iptables, nft };
}

/** A place on the way: a base chain of either kind. */
interface Stop {
  readonly program: string;
  readonly table: string;
  readonly base: string;
  readonly policy: string;
  readonly pass: (packet: Packet) => Outcome;
}

/** What stands in the way of a connection's first packet and of what is sent back, in each base chain that they come to. */
export function obstacles(firewalls: Firewalls, packet: Packet, own: Interfaces): Obstacle[] {
  const before = stops(firewalls, packet, "prerouting", (type) => type !== "nat");
  const arrived = translate(
    stops(firewalls, packet, "prerouting", (type) => type === "nat"),
    packet,
    own,
  );
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
    const isOwn = Object.values(own).some((list) => list?.some(({ address }) => address === to));
    const local = verdict.to === undefined || isOwn;
    const out = local ? undefined : interfaceTo(to, own);
    return { ...packet, to, port, local, out, translated: true };
  }
  return packet;
}

/** The base chains at a hook. The order does not matter where each has its say. */
function stops(
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
        return [{ program, table, base: chain, policy: policy.toLowerCase(), pass }];
      }),
    );
  const { bases, chains } = firewalls.nft;
  const ofNft = bases
    .filter((base) => base.hook === hook && isWanted(base.type) && concerns(base, packet, firewalls))
    .map((base): Stop => {
      const pass = (each: Packet): Outcome => walk(chains, base.name, each);
      return { program: "nft", table: tableOf(base), base: base.name, policy: base.policy, pass };
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
  const place = { program: stop.program, table: stop.table, base: stop.base, path, packet, isAnswer };
  const unknown = doubts.find(
    ({ match, kind }) => match === "unknown" && kind !== (isDropped ? "drop" : "accept"),
  );
  if (unknown !== undefined) {
    const { chain, text } = unknown.rule;
    return [{ ...place, chain, rule: words(text, chain), certainty: "unknown", except: undefined }];
  }
  if (isDropped) {
    const exception = doubts.find(({ kind }) => kind === "accept" || kind === "return")?.rule;
    return [
      {
        ...place,
        chain: decisive?.chain ?? stop.base,
        rule: decisive === undefined ? policy : words(decisive.text, decisive.chain),
        certainty: exception === undefined ? "all" : "some",
        except: exception && words(exception.text, exception.chain),
      },
    ];
  }
  const most = doubts.find(({ match, kind }) => match === "most" && kind === "drop")?.rule;
  if (most === undefined) return [];
  return [
    { ...place, chain: most.chain, rule: words(most.text, most.chain), certainty: "some", except: undefined },
  ];
}
