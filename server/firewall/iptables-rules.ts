import { endpointOf } from "../core/target.ts";
import { type GrantSet, nameOf, setsOf } from "./grant-set.ts";
import { type Chains, type Ports, type Shape, type Span, targetsOf } from "./guard.ts";
import { doorOf, WALK_CHAIN } from "../rules/names.ts";
import { COUNTER_LIMIT } from "./ipset-store.ts";

export const GUARD_CHAIN = "TOCK-GUARD";
/** Ports of other hosts. Services have lower case. */
const ROUTED_CHAIN = "TOCK-ROUTED";
/** What arrives at a port that leads to another host. */
export const INPUT_CHAIN = "TOCK-INPUT";
/** In the tables nat and filter: what leads to other hosts. */
export const TO_CHAIN = "TOCK-TO";
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
  const routed = routedRules(shape, family);
  const guard = [
    ...trialRules(shape),
    "-i lo -j RETURN",
    `${elsewhere} ${routed.length === 0 ? "-j RETURN" : `-g ${ROUTED_CHAIN}`}`,
    ...onPorts(shape.spa, "-j DROP"),
    "-m conntrack --ctstate ESTABLISHED -j RETURN",
    ...walkJumps(shape),
    ...onPorts(shape.silent, "-j DROP"),
    ...allowRules(shape, family),
    ...shape.services.flatMap(({ name, ports }) => onPorts(ports, `-g ${CHAIN_PREFIX}${name}`)),
  ];
  const services = shape.services.map(({ name }): [string, string[]] => {
    const sets = setsOf(name, shape.widths).filter((set) => set.family === family);
    const open = shape.walk === undefined ? sets.flatMap(passes) : doorRules(shape, name, "-j RETURN");
    return [`${CHAIN_PREFIX}${name}`, [...open, "-j DROP"]];
  });
  return new Map([
    [GUARD_CHAIN, guard],
    ...(routed.length === 0 ? [] : [[ROUTED_CHAIN, routed] as const]),
    ...(leads(shape) ? [[INPUT_CHAIN, inputRules(shape)] as const] : []),
    ...services,
  ]);
}

/** What leads to other hosts, for the table nat; empty where nothing does. */
export function iptablesNat(shape: Shape, family: 4 | 6): Chains {
  const rules = shape.services.flatMap(({ name, ports, to }) =>
    to
      .filter((target) => target.family === family)
      .flatMap((target) => {
        const sources = [
          ...shape.allow[family].map((network) => `-s ${network}`),
          ...setsOf(name, shape.widths)
            .filter((set) => set.family === family)
            .map((set) => `${matchOf(set)}${set.counted ? " ! --update-counters" : ""}`),
        ];
        const lead = `-j DNAT --to-destination ${endpointOf(target)}`;
        return sources.flatMap((source) => onPorts(ports, `${source} ${lead}`));
      }),
  );
  if (rules.length === 0) return new Map();
  return new Map([[TO_CHAIN, [...trialRules(shape), "-m addrtype ! --dst-type LOCAL -j RETURN", ...rules]]]);
}

/** Both directions of the connections that were led so, and nothing else, for the table filter; empty where there are none. */
export function iptablesAccept(shape: Shape, family: 4 | 6): Chains {
  const rules = shape.services.flatMap(({ ports, to }) =>
    to
      .filter((target) => target.family === family)
      .flatMap(({ protocol, address, port }) => {
        const from = `--ctproto ${protocol} --ctorigdstport ${ports[protocol][0]?.[0]}`;
        return `-m conntrack --ctstate DNAT ${from} --ctreplsrc ${address} --ctreplsrcport ${port} -j ACCEPT`;
      }),
  );
  return rules.length === 0 ? new Map() : new Map([[TO_CHAIN, [...trialRules(shape), ...rules]]]);
}

function leads({ services }: Shape): boolean {
  return services.some(({ to }) => to.length > 0);
}

function inputRules(shape: Shape): string[] {
  return [
    ...trialRules(shape),
    "-i lo -j RETURN",
    "-m conntrack --ctstate ESTABLISHED -j RETURN",
    ...shape.services.filter(({ to }) => to.length > 0).flatMap(({ ports }) => onPorts(ports, "-j DROP")),
  ];
}

/**
 * Of what is not addressed to this machine. A connection that was cut goes on from within as one that conntrack picks up in
 * the middle; the other side's packets would then belong to it. So it would where a service leads to another host: once
 * masqueraded, the connection from there looks like the one that was led.
 */
function routedRules(shape: Shape, family: 4 | 6): string[] {
  const guarded = shape.services.flatMap(({ name, ports, forward }) => {
    const where = forward?.[family] ?? [];
    return (where === "anywhere" ? [undefined] : where).map((network) => ({ name, ports, network }));
  });
  const within = [
    ...guarded.flatMap(({ ports, network }) =>
      chunks(ports.tcp).map(
        (list) => `${network === undefined ? "" : `-s ${network} `}-p tcp -m multiport --sports ${list}`,
      ),
    ),
    ...targetsOf(shape, family).flatMap(({ protocol, address, port }) =>
      protocol === "tcp" ? [`-s ${address} -p tcp -m multiport --sports ${port}`] : [],
    ),
  ];
  if (within.length === 0 && guarded.length === 0) return [];
  const pickedUp = "! --syn -m conntrack --ctstate NEW -j DROP";
  return [
    "-m conntrack --ctstate ESTABLISHED -j RETURN",
    ...within.map((source) => `${source} ${pickedUp}`),
    ...allowRules(shape, family),
    ...guarded.flatMap(({ name, ports, network }) =>
      onPorts(ports, `-g ${CHAIN_PREFIX}${name}`).map((rule) =>
        network === undefined ? rule : `-d ${network} ${rule}`,
      ),
    ),
  ];
}

function allowRules({ allow }: Shape, family: 4 | 6): string[] {
  return allow[family].map((network) => `-s ${network} -j RETURN`);
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
function trialRules({ trial }: Shape): string[] {
  if (trial === undefined) return [];
  const { start, end } = trial;
  const date = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 19);
  return [`-m time --datestart ${date(end)} -j RETURN`, `-m time --datestop ${date(start)} -j RETURN`];
}

/**
 * A counted set lets in what it has counted and what was let in before: conntrack confirms a flow only when its first packet
 * got through, so a repeated SYN (or datagram) of a flow is known by its confirmed entry, and is not counted again.
 */
function passes(set: GrantSet): string[] {
  const match = matchOf(set);
  if (!set.counted) return [`${match} -j RETURN`];
  return [
    `-m conntrack --ctstatus CONFIRMED ${match} ! --update-counters -j RETURN`,
    `${match} --packets-lt ${COUNTER_LIMIT} -j RETURN`,
  ];
}

function matchOf(set: GrantSet): string {
  return `-m set --match-set ${nameOf(set)} ${set.port ? "src,src" : "src"}`;
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
