import type { Port } from "../../shared/brand.ts";
import { formatPortRange, type PortRange } from "../../shared/port-range.ts";
import type { Service } from "../core/grant.ts";
import { type Finding, fail, warn } from "./finding.ts";
import type { Interfaces, Way } from "./interfaces.ts";
import { type Firewalls, isHere, stops } from "./journey.ts";
import { within } from "./networks.ts";
import { type Chains, FRESH, type Match, type Packet, type Rule } from "./walk.ts";

const LAST_PORT = 65_535;
const DEEPEST = 32;

/** A port that is not guarded, and that rules of others lead to one that is: the guard goes by where a packet was sent to. */
interface SideDoor {
  readonly service: Service;
  readonly inner: PortRange;
  readonly outer: PortRange;
  readonly rule: string;
  /** Every client gets in there, not some alone. */
  readonly isForAll: boolean;
}

/** Where strangers get past the guard. `silent`: what is dropped for everybody. */
export function lookForSideDoors(
  firewalls: Firewalls,
  services: readonly Service[],
  silent: readonly PortRange[],
  ways: readonly Way[],
  own: Interfaces,
): Finding[] {
  const doors = ways.flatMap((way) =>
    (["tcp", "udp"] as const).flatMap((protocol) => {
      const guarded = [...services.flatMap(({ ports }) => ports), ...silent];
      return sideDoors(
        firewalls,
        services,
        { ...FRESH, ...way, destination: way.to, protocol, port: 0, sentTo: 0 },
        own,
        guarded,
      );
    }),
  );
  const told = new Map(doors.map((door) => [JSON.stringify(door), door]));
  return [...told.values()].map(tell);
}

function sideDoors(
  firewalls: Firewalls,
  services: readonly Service[],
  packet: Packet,
  own: Interfaces,
  guarded: readonly PortRange[],
): SideDoor[] {
  const { protocol } = packet;
  const isGuarded = (port: number): boolean => guarded.some((range) => holds(range, protocol, port));
  return stops(firewalls, packet, "prerouting", (type) => type === "nat").flatMap(({ chains, base }) => {
    const rules = [...chains.values()].flat();
    const leads = rules.filter((rule) => led(rule, services, packet, own) !== undefined);
    if (leads.length === 0) return [];
    const open = stretches([
      ...rules.flatMap((rule) => rule.borders()),
      ...guarded.flatMap(({ first, last }) => [first, last]),
    ]).filter(
      ([port]) => !isGuarded(port) && leads.some(({ judge }) => judge(to(packet, port)).match !== "none"),
    );
    const found: SideDoor[] = [];
    for (const [port, end] of open) {
      for (const { rule, match } of translations(chains, base, to(packet, port))) {
        const at = led(rule, services, packet, own);
        if (at === undefined) continue;
        const isForAll = match === "all" && at.isSure;
        const last = found.at(-1);
        const goesOn = last?.rule === rule.text && last.isForAll === isForAll && last.outer.last === port - 1;
        const outer = { protocol, first: (goesOn ? last.outer.first : port) as Port, last: end as Port };
        if (goesOn) found.pop();
        found.push({ service: at.service, inner: at.inner, outer, rule: rule.text, isForAll });
      }
    }
    return found;
  });
}

/** The ports of which every rule says the same, as first and last: between two borders, which stand alone. */
function stretches(borders: readonly number[]): [number, number][] {
  const starts = [...new Set([1, ...borders.flatMap((port) => [port, port + 1])])]
    .filter((port) => port >= 1 && port <= LAST_PORT)
    .toSorted((a, b) => a - b);
  return starts.map((port, index) => [port, (starts[index + 1] ?? LAST_PORT + 1) - 1]);
}

function to(packet: Packet, port: number): Packet {
  return { ...packet, port, sentTo: port };
}

/** The service that a rule leads to, whatever it is about. */
function led(
  { judge }: Rule,
  services: readonly Service[],
  packet: Packet,
  own: Interfaces,
): (Pick<SideDoor, "service" | "inner"> & { readonly isSure: boolean }) | undefined {
  const { verdict } = judge(packet);
  if (verdict.kind !== "translate") return undefined;
  const { protocol } = packet;
  const { to: address, port = 0, range = [port, port] } = verdict;
  for (const service of services) {
    const port = (service.to ?? service.ports.map(({ first }) => ({ port: Math.max(first, range[0]) })))
      .map((each) => each.port)
      .find(
        (port) => range[0] <= port && port <= range[1] && isServed(service, protocol, address, port, own),
      );
    if (port === undefined) continue;
    const inner = { protocol, first: port as Port, last: port as Port };
    // Which port of a range it is nobody knows.
    return { service, inner, isSure: range[0] === range[1] };
  }
  return undefined;
}

/**
 * Whether this is where a service is. What may be forwarded to any host says nothing of where: containers of others have the
 * same ports.
 */
function isServed(
  { ports, to, forward }: Service,
  protocol: "tcp" | "udp",
  address: string | undefined,
  port: number,
  own: Interfaces,
): boolean {
  if (to !== undefined)
    return to.some(
      (target) => target.protocol === protocol && target.address === address && target.port === port,
    );
  if (!ports.some((range) => holds(range, protocol, port))) return false;
  if (isHere(address, own)) return true;
  return (
    Array.isArray(forward) &&
    address !== undefined &&
    forward.some((network: string) => within(address, network))
  );
}

function holds(range: PortRange, protocol: "tcp" | "udp", port: number): boolean {
  return range.protocol === protocol && range.first <= port && port <= range.last;
}

/** The translations that a packet may come to in a base chain, and how sure that is. */
function translations(chains: Chains, base: string, packet: Packet): { rule: Rule; match: Match }[] {
  const found: { rule: Rule; match: Match }[] = [];
  let isSure = true;
  /** Whether its way ends there for sure. */
  const through = (chain: string, depth: number): boolean => {
    for (const rule of depth > DEEPEST ? [] : (chains.get(chain) ?? [])) {
      const { match, verdict } = rule.judge(packet);
      if (match === "none" || verdict.kind === "next") continue;
      const before = isSure;
      isSure &&= match === "all" && verdict.kind !== "unknown";
      if (verdict.kind === "translate") found.push({ rule, match: isSure ? "all" : "some" });
      const ends =
        "chain" in verdict
          ? through(verdict.chain, depth + 1)
          : verdict.kind !== "return" && verdict.kind !== "unknown";
      const here = match === "all";
      if (here && ends) return true;
      if (here && (verdict.kind === "return" || verdict.kind === "goto")) return false;
      // A rule about some clients alone leaves the others as sure as they were: those are who matters.
      isSure = before;
    }
    return false;
  };
  through(base, 0);
  return found;
}

function tell({ service, inner, outer, rule, isForAll }: SideDoor): Finding {
  const [from, where] = [formatPortRange(outer), `${formatPortRange(inner)} of ${service.name}`];
  const hint = `guard it too: ports = [..., "${from}"] of [services.${service.name}]; or take that rule out`;
  return isForAll
    ? fail("firewall", `${from} leads everybody past the guard to ${where}: ${rule}`, hint)
    : warn("firewall", `${from} may lead some past the guard to ${where}: ${rule}`, hint);
}
