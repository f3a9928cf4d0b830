import type { Trial } from "../core/firewall.ts";
import { type GrantSet, nameOf, setsOf } from "./grant-set.ts";
import type { Chains, Ports, Shape, Span } from "./guard.ts";
import { doorOf, WALK_CHAIN } from "../rules/names.ts";
import { COUNTER_LIMIT } from "./ipset-store.ts";

export const GUARD_CHAIN = "TOCK-GUARD";
/** Every chain of Tock's begins with this. */
export const CHAIN_PREFIX = "TOCK-";
/** -m multiport takes 15 ports; a range counts as two. */
const MULTIPORT = 15;

/** The guard as iptables rules of one family, for the table mangle. See guard.ts for what each says. */
export function iptablesChains(shape: Shape, family: 4 | 6): Chains {
  // Anything but forwarded traffic. xt_addrtype knows no IPv6 broadcast, and takes IPv6 MULTICAST as "and", not "or".
  const elsewhere =
    family === 4
      ? "-m addrtype ! --dst-type LOCAL,BROADCAST,ANYCAST,MULTICAST"
      : "! -d ff00::/8 -m addrtype ! --dst-type LOCAL,ANYCAST";
  const guard = [
    ...(shape.trial === undefined ? [] : trialRules(shape.trial)),
    "-i lo -j RETURN",
    `${elsewhere} -j RETURN`,
    ...onPorts(shape.spa, "-j DROP"),
    "-m conntrack --ctstate ESTABLISHED -j RETURN",
    ...walkJumps(shape),
    ...onPorts(shape.silent, "-j DROP"),
    ...shape.allow[family].map((network) => `-s ${network} -j RETURN`),
    ...shape.services.flatMap(({ name, ports }) => onPorts(ports, `-g ${CHAIN_PREFIX}${name}`)),
  ];
  const services = shape.services.map(({ name }): [string, string[]] => {
    const sets = setsOf(name, shape.widths).filter((set) => set.family === family);
    const open = shape.walk === undefined ? sets.flatMap(passes) : doorRules(shape, name, "-j RETURN");
    return [`${CHAIN_PREFIX}${name}`, [...open, "-j DROP"]];
  });
  return new Map([[GUARD_CHAIN, guard], ...services]);
}

/** Knocks go through the walks of rules/recent.ts, and are dropped after that. */
function walkJumps({ walk }: Shape): string[] {
  if (walk === undefined) return [];
  const { tcp, udp } = walk.ports;
  const to = ([first, last]: Span): string => `--dport ${first}:${last} -j ${WALK_CHAIN}`;
  return [...tcp.map((span) => `-p tcp --syn ${to(span)}`), ...udp.map((span) => `-p udp ${to(span)}`)];
}

/** A door is open for the sources in its list of xt_recent that came in less than so many seconds ago. */
export function doorRules(shape: Shape, service: string, target: string): string[] {
  const doors = (shape.walk?.doors ?? []).filter((door) => door.service === service);
  return doors.map(
    (door) => `-m recent --name ${doorOf(door)} --rcheck --seconds ${door.seconds} --reap ${target}`,
  );
}

/** xt_time compares UTC, in whole seconds. */
function trialRules({ start, end }: Trial): string[] {
  const date = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 19);
  return [`-m time --datestart ${date(end)} -j RETURN`, `-m time --datestop ${date(start)} -j RETURN`];
}

/**
 * A counted set lets in what it has counted and what was let in before: conntrack confirms a flow only when its first packet
 * got through, so a repeated SYN (or datagram) of a flow is known by its confirmed entry, and is not counted again.
 */
function passes(set: GrantSet): string[] {
  const match = `-m set --match-set ${nameOf(set)} ${set.port ? "src,src" : "src"}`;
  if (!set.counted) return [`${match} -j RETURN`];
  return [
    `-m conntrack --ctstatus CONFIRMED ${match} ! --update-counters -j RETURN`,
    `${match} --packets-lt ${COUNTER_LIMIT} -j RETURN`,
  ];
}

export function onPorts(ports: Ports, target: string): string[] {
  return (["tcp", "udp"] as const).flatMap((protocol) =>
    chunks(ports[protocol]).map((list) => `-p ${protocol} -m multiport --dports ${list} ${target}`),
  );
}

function chunks(spans: readonly Span[]): string[] {
  const lists: string[][] = [];
  let room = 0;
  for (const [first, last] of spans) {
    const cost = first === last ? 1 : 2;
    if (room < cost) {
      lists.push([]);
      room = MULTIPORT;
    }
    lists.at(-1)?.push(first === last ? String(first) : `${first}:${last}`);
    room -= cost;
  }
  return lists.map((list) => list.join(","));
}
