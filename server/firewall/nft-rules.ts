import { NFT_WALK } from "../rules/nft.ts";
import { Address, maskAddress } from "../../shared/address.ts";
import { type GrantSet, nameOf, setsOf } from "./grant-set.ts";
import { type Chains, marksOf, type Ports, type Shape } from "./guard.ts";

export const TABLE = "tock";
export const GUARD_CHAIN = "guard";
/** NF_IP_PRI_MANGLE: after conntrack (-200), before redirection (-100). */
export const PRIORITY = -150;
/**
 * A counted set is a pair. The one of this suffix holds a limit that lets N packets pass and refills one a week, and cannot be looked
 * at without being used up; the one without it says that the source has (or had) a grant at all.
 */
export const LIMIT_SUFFIX = "l";
const LIMIT = "limit rate 1/week counter;";

/** The guard as nftables rules. See guard.ts for what each says. */
export function nftChains(shape: Shape): Chains {
  const { trial } = shape;
  const guard = [
    ...(trial === undefined
      ? []
      : [`meta time >= ${trial.end} return`, `meta time <= ${trial.start} return`]),
    "iif lo return",
    "fib daddr type != { local, broadcast, anycast, multicast } return",
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
  return new Map([[GUARD_CHAIN, guard], ...services]);
}

/** What {@link nftScript} has to know of the table in the kernel. */
export interface Found {
  /** It exists and is awake. (A table of which that is true cannot be named again when it was owned.) */
  readonly awake: boolean;
  /** The guard's chain is there, and hangs where it should not. */
  readonly misplaced: boolean;
  /** Chains and sets of services that are gone. */
  readonly staleChains: readonly string[];
  readonly staleSets: readonly string[];
}

/** One transaction that makes the table hold these chains, whatever generation was there. Sets that stay keep their grants. */
export function nftScript(shape: Shape, { awake, misplaced, staleChains, staleSets }: Found): string {
  const chains = nftChains(shape);
  const marks = marksOf(chains);
  const base = `{ type filter hook prerouting priority ${PRIORITY}; policy accept; }`;
  const names = [...chains.keys()];
  const lines = [
    ...(awake ? [] : [`add table inet ${TABLE}`]),
    ...(shape.walk === undefined ? [] : [`add chain inet ${TABLE} ${NFT_WALK}`]),
    ...shape.services.flatMap(({ name }) => setsOf(name, shape.widths).flatMap(declare)),
    ...(misplaced ? [`delete chain inet ${TABLE} ${GUARD_CHAIN}`] : []),
    ...names.map((name) => `add chain inet ${TABLE} ${name}${name === GUARD_CHAIN ? ` ${base}` : ""}`),
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

function allowed({ allow }: Shape): string[] {
  return ([4, 6] as const).flatMap((family) =>
    allow[family].length === 0
      ? []
      : [`${family === 4 ? "ip" : "ip6"} saddr { ${allow[family].join(", ")} } return`],
  );
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
  const address = set.family === 4 ? "ip saddr" : "ip6 saddr";
  const source = set.prefix === undefined ? address : `${address} & ${maskOf(set.family, set.prefix)}`;
  const key = set.port ? `${source} . th sport` : source;
  if (!set.counted) return [`${key} @${nameOf(set)} return`];
  return [`ct status confirmed ${key} @${nameOf(set)} return`, `${key} @${limitNameOf(set)} return`];
}

/** The netmask of a prefix length, as an address. */
function maskOf(family: 4 | 6, prefix: number): string {
  const ones = new Uint8Array(family === 4 ? 4 : 16).fill(0xff);
  const all = family === 4 ? Address.v4(ones) : new Address(ones);
  return maskAddress(all, prefix).text;
}

function onPorts(ports: Ports, verdict: string): string[] {
  return (["tcp", "udp"] as const).flatMap((protocol) => {
    const list = ports[protocol]
      .map(([first, last]) => (first === last ? first : `${first}-${last}`))
      .join(", ");
    return list === "" ? [] : [`${protocol} dport { ${list} } ${verdict}`];
  });
}
