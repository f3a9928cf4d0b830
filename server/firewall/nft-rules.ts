import { endpointOf } from "../core/target.ts";
import { NFT_WALK } from "../rules/nft.ts";
import { Address, maskAddress } from "../../shared/address.ts";
import { type GrantSet, nameOf, setsOf } from "./grant-set.ts";
import { type Chains, marksOf, type Ports, type Shape, type Span, targetsOf } from "./guard.ts";

export const TABLE = "tock";
export const GUARD_CHAIN = "guard";
/** Ports of other hosts. Services' chains are called service-NAME. */
const ROUTED_CHAIN = "routed";
/** What leads to other hosts. */
const TO_CHAIN = "to-others";
/** What arrives at a port that leads to another host. */
const INPUT_CHAIN = "input";

/** Where the kernel calls a chain. */
export interface Base {
  readonly type: "filter" | "nat";
  readonly hook: "prerouting" | "input";
  readonly priority: number;
}

/** Of the chains that the kernel calls. -150 is NF_IP_PRI_MANGLE: after conntrack (-200), before redirection (-100). */
export const BASES: ReadonlyMap<string, Base> = new Map([
  [GUARD_CHAIN, { type: "filter", hook: "prerouting", priority: -150 }],
  [TO_CHAIN, { type: "nat", hook: "prerouting", priority: -110 }],
  [INPUT_CHAIN, { type: "filter", hook: "input", priority: -150 }],
]);
/**
 * A counted set is a pair. The one of this suffix holds a limit that lets N packets pass and refills one a week, and cannot be looked
 * at without being used up; the one without it says that the source has (or had) a grant at all.
 */
export const LIMIT_SUFFIX = "l";
const LIMIT = "limit rate 1/week counter;";

/** The guard as nftables rules. See guard.ts for what each says. */
export function nftChains(shape: Shape): Chains {
  const routed = routedRules(shape);
  const guard = [
    ...trialRules(shape),
    "iif lo return",
    `fib daddr type != { local, broadcast, anycast, multicast } ${routed.length === 0 ? "return" : `goto ${ROUTED_CHAIN}`}`,
    ...onPorts(shape.spa, "drop"),
    "ct state established return",
    ...walkJumps(shape),
    ...onPorts(shape.silent, "drop"),
    ...allowed(shape),
    ...shape.services.flatMap(({ name, ports }) => onPorts(ports, `goto ${chainOf(name)}`)),
  ];
  const services = shape.services.map(({ name }): [string, string[]] => [
    chainOf(name),
    [...setsOf(name, shape.widths).flatMap(passes), "drop"],
  ]);
  return new Map([
    [GUARD_CHAIN, guard],
    ...(routed.length === 0 ? [] : [[ROUTED_CHAIN, routed] as const]),
    ...leadChains(shape),
    ...services,
  ]);
}

function trialRules({ trial }: Shape): string[] {
  if (trial === undefined) return [];
  return [`meta time >= ${trial.end} return`, `meta time <= ${trial.start} return`];
}

/** See {@link iptablesNat} and its neighbours in iptables-rules.ts, which say the same. */
function leadChains(shape: Shape): [string, string[]][] {
  const leading = shape.services.filter(({ to }) => to.length > 0);
  if (leading.length === 0) return [];
  const lead = leading.flatMap(({ name, ports, to }) =>
    to.flatMap((target) => {
      const ip = target.family === 4 ? "ip" : "ip6";
      const sets = setsOf(name, shape.widths).filter((set) => set.family === target.family);
      const sources = [
        ...allowMatches(shape, target.family),
        ...sets.map((set) => `${keyOf(set)} @${nameOf(set)}`),
      ];
      return sources.flatMap((source) => onPorts(ports, `${source} dnat ${ip} to ${endpointOf(target)}`));
    }),
  );
  const stays = leading.flatMap(({ ports }) => onPorts(ports, "drop"));
  return [
    [TO_CHAIN, [...trialRules(shape), "fib daddr type != local return", ...lead]],
    [INPUT_CHAIN, [...trialRules(shape), "iif lo return", "ct state established return", ...stays]],
  ];
}

/** See {@link routedRules} in iptables-rules.ts. */
function routedRules(shape: Shape): string[] {
  const guarded = ([4, 6] as const).flatMap((family) =>
    shape.services.flatMap(({ name, ports, forward }) => {
      const where = forward?.[family] ?? [];
      if (where.length === 0) return [];
      const ip = family === 4 ? "ip" : "ip6";
      const of = (which: "saddr" | "daddr"): string =>
        where === "anywhere" ? `meta nfproto ipv${family}` : `${ip} ${which} { ${where.join(", ")} }`;
      return { name, ports, from: of("saddr"), to: of("daddr") };
    }),
  );
  const within = [
    ...guarded.flatMap(({ ports, from }) =>
      ports.tcp.length === 0 ? [] : [`${from} tcp sport { ${listOf(ports.tcp)} }`],
    ),
    ...([4, 6] as const).flatMap((family) =>
      targetsOf(shape, family).flatMap(({ protocol, address, port }) =>
        protocol === "tcp" ? [`${family === 4 ? "ip" : "ip6"} saddr ${address} tcp sport ${port}`] : [],
      ),
    ),
  ];
  if (within.length === 0 && guarded.length === 0) return [];
  const pickedUp = "tcp flags & (fin | syn | rst | ack) != syn ct state new drop";
  return [
    "ct state established return",
    ...within.map((source) => `${source} ${pickedUp}`),
    ...allowed(shape),
    ...guarded.flatMap(({ name, ports, to }) =>
      onPorts(ports, `goto ${chainOf(name)}`).map((rule) => `${to} ${rule}`),
    ),
  ];
}

/** What {@link nftScript} has to know of the table in the kernel. */
export interface Found {
  /** It exists and is awake. (A table of which that is true cannot be named again when it was owned.) */
  readonly awake: boolean;
  /** Chains that the kernel calls from elsewhere than it should. */
  readonly misplaced: readonly string[];
  /** Chains and sets of services that are gone. */
  readonly staleChains: readonly string[];
  readonly staleSets: readonly string[];
}

/** One transaction that makes the table hold these chains, whatever generation was there. Sets that stay keep their grants. */
export function nftScript(shape: Shape, { awake, misplaced, staleChains, staleSets }: Found): string {
  const chains = nftChains(shape);
  const marks = marksOf(chains);
  const base = (name: string): string => {
    const { type, hook, priority } = BASES.get(name) ?? {};
    return type === undefined ? "" : ` { type ${type} hook ${hook} priority ${priority}; policy accept; }`;
  };
  const names = [...chains.keys()];
  const lines = [
    ...(awake ? [] : [`add table inet ${TABLE}`]),
    ...(shape.walk === undefined ? [] : [`add chain inet ${TABLE} ${NFT_WALK}`]),
    ...shape.services.flatMap(({ name }) => setsOf(name, shape.widths).flatMap(declare)),
    ...misplaced.map((name) => `delete chain inet ${TABLE} ${name}`),
    ...names.map((name) => `add chain inet ${TABLE} ${name}${base(name)}`),
    ...[...names, ...staleChains].map((name) => `flush chain inet ${TABLE} ${name}`),
    ...[...chains].flatMap(([name, rules]) =>
      rules.map(
        (rule, index) => `add rule inet ${TABLE} ${name} ${rule} comment "${marks.get(name)?.[index] ?? ""}"`,
      ),
    ),
    ...staleChains.map((name) => `delete chain inet ${TABLE} ${name}`),
    ...staleSets.map((name) => `delete set inet ${TABLE} ${name}`),
  ];
  return `${lines.join("\n")}\n`;
}

function allowed(shape: Shape): string[] {
  return ([4, 6] as const).flatMap((family) => allowMatches(shape, family).map((match) => `${match} return`));
}

function allowMatches({ allow }: Shape, family: 4 | 6): string[] {
  if (allow[family].length === 0) return [];
  return [`${family === 4 ? "ip" : "ip6"} saddr { ${allow[family].join(", ")} }`];
}

/** Knocks go through the walks of rules/nft.ts, and are dropped after that. */
function walkJumps({ walk }: Shape): string[] {
  if (walk === undefined) return [];
  const { tcp, udp } = walk.ports;
  return [
    ...onPorts({ tcp, udp: [] }, `tcp flags & (fin | syn | rst | ack) == syn jump ${NFT_WALK}`),
    ...onPorts({ tcp: [], udp }, `jump ${NFT_WALK}`),
  ];
}

/** Names of every kernel set that stands behind a grant set. */
export function kernelSets(set: GrantSet): string[] {
  return set.counted ? [nameOf(set), limitNameOf(set)] : [nameOf(set)];
}

/** The kernel set that counts. */
export function limitNameOf(set: GrantSet): string {
  return nameOf(set).replace("-", `${LIMIT_SUFFIX}-`);
}

function chainOf(service: string): string {
  return `service-${service}`;
}

function declare(set: GrantSet): string[] {
  const address = set.family === 4 ? "ipv4_addr" : "ipv6_addr";
  const type = set.port ? `${address} . inet_service` : address;
  return kernelSets(set).map((name) => {
    const limit = name === nameOf(set) ? "" : ` ${LIMIT}`;
    // Walks of knocks add to the plain sets, which a set must have been made for.
    const flags =
      set.port || set.counted || set.prefix !== undefined
        ? "flags timeout;"
        : "flags dynamic, timeout; size 65535;";
    return `add set inet ${TABLE} ${name} { type ${type}; ${flags}${limit} }`;
  });
}

/**
 * A counted set lets in what it has counted and what was let in before: conntrack confirms a flow only when its first packet
 * got through, so a repeated SYN (or datagram) of a flow is known by its confirmed entry, and is not counted again.
 */
function passes(set: GrantSet): string[] {
  const key = keyOf(set);
  if (!set.counted) return [`${key} @${nameOf(set)} return`];
  return [`ct status confirmed ${key} @${nameOf(set)} return`, `${key} @${limitNameOf(set)} return`];
}

function keyOf(set: GrantSet): string {
  const address = set.family === 4 ? "ip saddr" : "ip6 saddr";
  const source = set.prefix === undefined ? address : `${address} & ${maskOf(set.family, set.prefix)}`;
  return set.port ? `${source} . th sport` : source;
}

/** The netmask of a prefix length, as an address. */
function maskOf(family: 4 | 6, prefix: number): string {
  const ones = new Uint8Array(family === 4 ? 4 : 16).fill(0xff);
  const all = family === 4 ? Address.v4(ones) : new Address(ones);
  return maskAddress(all, prefix).text;
}

function onPorts(ports: Ports, verdict: string): string[] {
  return (["tcp", "udp"] as const).flatMap((protocol) => {
    const list = listOf(ports[protocol]);
    return list === "" ? [] : [`${protocol} dport { ${list} } ${verdict}`];
  });
}

function listOf(spans: readonly Span[]): string {
  return spans.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(", ");
}
