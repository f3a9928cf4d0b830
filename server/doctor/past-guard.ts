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
      const isGuarded = (port: number): boolean => guarded.some((range) => holds(range, protocol, port));
      return sideDoors(
        firewalls,
        services,
        { ...FRESH, ...way, destination: way.to, protocol, port: 0, sentTo: 0 },
        own,
        isGuarded,
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
  isGuarded: (port: number) => boolean,
): SideDoor[] {
  return stops(firewalls, packet, "prerouting", (type) => type === "nat").flatMap(({ chains, base }) => {
    const leads = [...chains.values()]
      .flat()
      .filter((rule) => led(rule, services, packet, own) !== undefined);
    if (leads.length === 0) return [];
    const open = ports().filter(
      (port) => !isGuarded(port) && leads.some(({ judge }) => judge(to(packet, port)).match !== "none"),
    );
    const found: SideDoor[] = [];
    for (const port of open) {
      for (const { rule, match } of translations(chains, base, to(packet, port))) {
        const at = led(rule, services, packet, own);
        if (at === undefined) continue;
        const { protocol } = packet;
        const isForAll = match === "all";
        const last = found.at(-1);
        const goesOn = last?.rule === rule.text && last.isForAll === isForAll && last.outer.last === port - 1;
        const outer = { protocol, first: (goesOn ? last.outer.first : port) as Port, last: port as Port };
        if (goesOn) found.pop();
        found.push({ ...at, outer, rule: rule.text, isForAll });
      }
    }
    return found;
  });
}

function ports(): number[] {
  return Array.from({ length: LAST_PORT }, (_, index) => index + 1);
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
): Pick<SideDoor, "service" | "inner"> | undefined {
  const { verdict } = judge(packet);
  if (verdict.kind !== "translate" || verdict.port === undefined) return undefined;
  const { to: address, port } = verdict;
  const service = services.find((each) => isServed(each, packet.protocol, address, port, own));
  const inner = { protocol: packet.protocol, first: port as Port, last: port as Port };
  return service && { service, inner };
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
