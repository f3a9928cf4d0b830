import { networkInterfaces } from "node:os";
import type { PortRange } from "../../shared/port-range.ts";
import type { Service } from "../core/grant.ts";
import type { Settings } from "../config/settings.ts";
import { guardPlanOf } from "../plans.ts";
import { adviceFor, type Behind } from "./advice.ts";
import { type Finding, fail, fine, warn } from "./finding.ts";
import { interfacesOf, type Interfaces, interfaceTo, type Way } from "./interfaces.ts";
import { atWire, type Obstacle, obstacles, readFirewalls, replyObstacles } from "./journey.ts";
import { look } from "./look.ts";
import { lookForSideDoors } from "./past-guard.ts";
import { untracked } from "./untracked.ts";
import { FRESH, type Packet } from "./walk.ts";

/** Whether the machine's own firewall lets through what Tock would open: a grant cannot overrule it. */
export function lookAtFirewalls(settings: Settings, guard: Behind): Finding[] {
  const { server, services } = settings;
  const firewalls = readFirewalls(look);
  const own = networkInterfaces();
  const ways = interfacesOf(server.addresses, own);
  const found = new Map<string, Finding>();
  const add = (finding: Finding): void =>
    void found.set(`${finding.message} ${finding.run?.join() ?? ""}`, finding);
  for (const { name, range, packet } of packetsTo(services, ways, own)) {
    for (const obstacle of obstacles(firewalls, packet, own)) add(tell(name, range, packet, obstacle, guard));
    for (const rule of untracked(firewalls, packet)) add(tellUntracked(name, packet, rule));
  }
  const spa = { name: "tockd", ports: [{ protocol: "udp" as const, first: server.port, last: server.port }] };
  for (const { name, range, packet } of packetsTo([spa], ways, own)) {
    for (const obstacle of atWire(firewalls, packet)) add(tell(name, range, packet, obstacle, "none"));
    if (server.reply === "never") continue;
    for (const obstacle of replyObstacles(firewalls, packet))
      add(tell(name, range, packet, obstacle, "none"));
  }
  const { silent } = guardPlanOf(settings);
  for (const finding of lookForSideDoors(firewalls, services, silent, ways, own)) add(finding);
  for (const command of firewalls.unread) add(tellUnread(command));
  if (ways.length === 0) add(NO_WAY);
  const isFree = [...found.values()].every(({ name }) => name !== "firewall");
  const well = fine("firewall", "the machine's own firewall lets every service through");
  return [...(isFree ? [well] : []), ...found.values()];
}

const NO_WAY = warn(
  "firewall",
  "no interface but lo has an address, so nothing was looked at",
  "try again with the network up",
);

function tellUnread(command: string): Finding {
  const message = `${command} fails, so what it would tell of was not looked at`;
  return warn("firewall", message, "run it: it says why");
}

/** A service, or the SPA port. */
type Ported = Pick<Service, "ports" | "to" | "forward"> & { readonly name: string };

/** A connection to the first and the last port of each range, by each way in. */
function packetsTo(
  services: readonly Ported[],
  ways: readonly Way[],
  own: Interfaces,
): { name: string; range: PortRange; packet: Packet }[] {
  return services.flatMap((service) =>
    service.ports.flatMap((range) =>
      [...new Set<number>([range.first, range.last])].flatMap((port) =>
        ways.flatMap((way) => {
          const packet: Packet = {
            ...FRESH,
            protocol: range.protocol,
            port,
            sentTo: port,
            ...way,
            destination: way.to,
          };
          return journeysOf(service, packet, own).map((each) => ({
            name: service.name,
            range,
            packet: each,
          }));
        }),
      ),
    ),
  );
}

/** Where a packet to a service goes: to this machine, to where Tock leads it, or to the hosts behind this machine. */
function journeysOf({ to, forward }: Ported, packet: Packet, own: Interfaces): Packet[] {
  const elsewhere = (network?: string): Packet => {
    const address = network?.replace(/\/.*/, "");
    return { ...packet, local: false, to: address, destination: network, out: interfaceTo(address, own) };
  };
  if (to !== undefined) {
    const targets = to.filter(({ family }) => family === packet.family);
    return targets.map(({ address, port }) => ({ ...packet, lead: { address, port } }));
  }
  if (forward === undefined) return [packet];
  if (forward === true) return [elsewhere()];
  return forward
    .filter((network) => network.includes(":") === (packet.family === 6))
    .map((network) => elsewhere(network));
}

/** Connections that conntrack does not follow are never established, so the guard cuts them when the grant ends. */
function tellUntracked(service: string, { protocol, port }: Packet, rule: string): Finding {
  return warn(
    "conntrack",
    `a rule switches connection tracking off for ${protocol}/${port} of ${service}: ${rule}`,
    "its connections are never established, so they are cut when the grant ends: leave the port out of that rule",
  );
}

function tell(service: string, range: PortRange, packet: Packet, obstacle: Obstacle, guard: Behind): Finding {
  const { rule, certainty, except, isAnswer } = obstacle;
  const behind = packet.local ? "" : " on hosts behind";
  const port = `${packet.protocol}/${packet.sentTo} of ${service}${behind}`;
  const what = isAnswer ? `what ${port} answers` : port;
  const { run, hint } = adviceFor(range, obstacle, look, guard);
  const finding = ((): Finding => {
    if (certainty === "unknown") {
      const way = isAnswer ? "out" : "in";
      return warn(
        "firewall",
        `${what}: cannot tell whether the machine's own firewall lets it ${way}: ${rule}`,
        hint,
      );
    }
    if (certainty === "all")
      return fail("firewall", `${what} is dropped by the machine's own firewall: ${rule}`, hint);
    const only = except === undefined ? "" : `, by ${except}`;
    return warn("firewall", `${what} passes for some addresses alone${only}; for others: ${rule}`, hint);
  })();
  return run === undefined ? finding : { ...finding, run: [run] };
}
