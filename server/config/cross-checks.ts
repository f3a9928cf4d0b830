import { KNOCK_MIN_SPAN } from "../../shared/constants.ts";
import { formatPortRange, type PortRange, rangesOverlap } from "../../shared/port-range.ts";
import { knockOdds, MOST_ODDS, safeLength } from "../core/knock-odds.ts";
import { formatTarget } from "../core/target.ts";
import { formatDuration } from "./duration.ts";
import { nearest } from "./nearest.ts";
import type { TableReader } from "./read-table.ts";
import type { Clock, Knock, Rotation, Server, ServiceTable, UserTable } from "./schema.ts";

/** What could be read of a file. Missing keys had mistakes of their own. */
export interface Tables {
  readonly server: Partial<Server>;
  readonly clock: Partial<Clock>;
  readonly knock: Partial<Knock>;
  readonly rotation: Partial<Rotation>;
  readonly services: ReadonlyMap<string, Partial<ServiceTable>>;
  readonly users: ReadonlyMap<string, Partial<UserTable>>;
}

/** Complains of what is wrong between keys that are each right. */
export function crossCheck(tables: Tables, reader: TableReader): void {
  checkKnock(tables, reader);
  checkOdds(tables, reader);
  checkEngine(tables, reader);
  checkServices(tables, reader);
  checkUsers(tables, reader);
  checkRotation(tables, reader);
}

function checkKnock({ knock: { ports, transport }, server, users }: Tables, reader: TableReader): void {
  if (ports === undefined) return;
  const { first, last } = ports;
  const span = last - first + 1;
  if (span < KNOCK_MIN_SPAN) {
    const message = `expected a range of at least ${KNOCK_MIN_SPAN} ports, got ${span}`;
    reader.complain(
      ["knock", "ports"],
      message,
      "a shorter one could be guessed; the default is 10000-32767",
    );
  }
  const { port } = server;
  if (port !== undefined && isKnockUsed(users) && transport !== "tcp" && first <= port && port <= last) {
    const message = `udp/${port} lies inside the knock range ${first}-${last}`;
    reader.complain(["server", "port"], message, "choose another port, or another range for [knock] ports");
  }
}

function checkEngine({ server, users, services }: Tables, reader: TableReader): void {
  if (server.engine !== "kernel") return;
  for (const [name, { forward = false, to }] of services) {
    for (const key of [...(forward === false ? [] : ["forward"]), ...(to === undefined ? [] : ["to"])]) {
      const message = "the kernel engine guards this machine's own ports alone";
      reader.complain(
        ["services", name, key],
        message,
        'leave it out, or take engine = "packets" under [server]',
      );
    }
  }
  if (isKnockUsed(users)) return;
  const message = "the kernel engine opens by knock sequences alone, and no user may knock";
  reader.complain(["server", "engine"], message, 'give a user knock = true, or take engine = "packets"');
}

/** Whether sequences can be guessed. One device is counted; more make it easier, which the daemon warns of. */
function checkOdds({ knock, clock, users }: Tables, reader: TableReader): void {
  const { ports, length } = knock;
  if (ports === undefined || length === undefined || !isKnockUsed(users)) return;
  if (ports.last - ports.first + 1 < KNOCK_MIN_SPAN) return;
  const shape = { ...ports, length };
  const steps = 1 + (clock.past ?? 0) + (clock.future ?? 0);
  const odds = knockOdds(shape, steps, 1);
  if (odds <= MOST_ODDS) return;
  const safe = safeLength(shape, steps, 1);
  const message = `expected sequences that cannot be guessed, got ${length} of ${ports.last - ports.first + 1} ports: every ${Math.round(1 / odds).toExponential(0)}th packet would hit`;
  const hint = safe === undefined ? "take a larger range for [knock] ports" : `length = ${safe} will do`;
  reader.complain(["knock", "length"], message, hint);
}

function checkServices({ services, server, knock, users }: Tables, reader: TableReader): void {
  const seen: { name: string; range: PortRange }[] = [];
  const spa = spaRange(server);
  const knockRange = (isKnockUsed(users) ? knock.ports : undefined) ?? { first: 0, last: 0 };
  for (const [name, service] of services) {
    for (const [index, range] of (service.ports ?? []).entries()) {
      const path = ["services", name, "ports", index];
      const text = formatPortRange(range);
      for (const other of seen.filter((other) => rangesOverlap(other.range, range))) {
        const what = other.name === name ? "this service" : `services.${other.name}`;
        reader.complain(path, `${text} overlaps ${formatPortRange(other.range)} of ${what}`, overlapHint);
      }
      if (spa && rangesOverlap(spa, range)) {
        const message = `${text} holds udp/${spa.first}, where SPA packets arrive`;
        reader.complain(path, message, "choose another [server] port: it never opens for anybody");
      }
      if (range.first <= knockRange.last && knockRange.first <= range.last) {
        const message = `${text} overlaps the knock range ${knockRange.first}-${knockRange.last}`;
        reader.complain(
          path,
          message,
          "choose a range without it for [knock] ports: the guard drops all of it",
        );
      }
      seen.push({ name, range });
    }
    checkTarget(name, service, reader);
    const { ttl, max_ttl: cap } = service;
    if (ttl !== undefined && cap !== undefined && cap < ttl) {
      const message = `${formatDuration(ttl)} is over the cap, max_ttl = "${formatDuration(cap)}"`;
      reader.complain(["services", name, "ttl"], message, "raise max_ttl or lower ttl (the default is 30s)");
    }
  }
}

function checkTarget(name: string, service: Partial<ServiceTable>, reader: TableReader): void {
  const { ports, to, forward = false } = service;
  if (to === undefined) return;
  if (forward !== false) {
    const hint = "give the ports of hosts behind this machine a service of their own, with forward alone";
    reader.complain(["services", name, "forward"], "does not go together with to", hint);
  }
  const [range, ...more] = ports ?? [];
  if (range === undefined) return;
  if (more.length > 0 || range.first !== range.last) {
    const message = "expected a single port where the service has to";
    const hint = "make a service for each port that leads to another host";
    reader.complain(["services", name, "ports"], message, hint);
  }
  const wrong = to.find(({ protocol }) => protocol !== range.protocol);
  if (wrong === undefined) return;
  const message = `expected the protocol of its port, ${range.protocol}, got ${formatTarget(wrong)}`;
  reader.complain(
    ["services", name, "to"],
    message,
    `did you mean "${formatTarget({ ...wrong, protocol: range.protocol })}"?`,
  );
}

const overlapHint = "a port belongs to one service: opening one would open the other";

function checkUsers({ users, services }: Tables, reader: TableReader): void {
  const serviceNames = [...services.keys()];
  for (const [name, user] of users) {
    for (const [index, service] of (user.services ?? []).entries()) {
      const path = ["users", name, "services", index];
      if (!serviceNames.includes(service)) {
        const close = nearest(service, serviceNames);
        const hint = close === undefined ? `add a table [services.${service}]` : `did you mean "${close}"?`;
        reader.complain(path, `there is no service "${service}"`, hint);
      } else if ((user.services?.indexOf(service) ?? index) < index) {
        reader.complain(path, `"${service}" is listed twice`, "once is enough");
      }
    }
  }
}

function checkRotation({ rotation }: Tables, reader: TableReader): void {
  const { rotate_after: rotate, expire_after: expire } = rotation;
  if (rotate === undefined || expire === undefined || expire > rotate) return;
  const message = `expected longer than rotate_after = "${formatDuration(rotate)}", got "${formatDuration(expire)}"`;
  reader.complain(
    ["rotation", "expire_after"],
    message,
    "a device needs time between the two to rotate by itself",
  );
}

function spaRange({ port }: Partial<Server>): PortRange | undefined {
  return port && { protocol: "udp", first: port, last: port };
}

/** Without a user who may knock the range is left alone. */
function isKnockUsed(users: Tables["users"]): boolean {
  return [...users.values()].some(({ knock }) => knock === true);
}
