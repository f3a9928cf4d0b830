import { stringify } from "smol-toml";
import { formatPortRange } from "../../shared/port-range.ts";
import { type Imported, type ImportedService, type ImportedUser, visible } from "./imported.ts";
import { knockRange, NO_RANGE } from "./ports.ts";

/** What the server itself is to be called, which no other program's file says. */
export interface Server {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** Tock's default lifetime and cap, in seconds. */
const TTL = 30;
const CAP = 600;

/** A tockd.toml of what was imported, with what is to be done next as comments. */
export function importedToml(from: string, imported: Imported, server: Server): string {
  const { services, users, port, transport, backend, onGrant, onClose } = imported;
  const knocks = users.some((user) => user.knock);
  const range = knockRange(services);
  const tables = [
    `[server]\n${stringify({
      name: server.name,
      addresses: server.addresses,
      ...(port !== undefined && { port }),
    })}`,
    `[firewall]\n${stringify({ backend })}`,
    ...(knocks && transport !== undefined
      ? [
          `[knock]\n${stringify({ ...(range !== undefined && range !== "default" && { ports: range }), transport })}`,
        ]
      : []),
    ...(onGrant !== undefined || onClose !== undefined
      ? [
          `[hooks]\n${stringify({ ...(onGrant && { on_grant: onGrant }), ...(onClose && { on_close: onClose }) })}`,
        ]
      : []),
    ...services.map((service) => `[services.${service.name}]\n${serviceTable(service)}`),
    ...users.map((user) => `[users.${user.name}]\n${userTable(user, services)}`),
  ];
  const head = [
    `# Made of ${visible(from)} by tockd import.`,
    "#",
    "# 1. Read it through: name and addresses of the server are a guess.",
    "# 2. Put it at /etc/tock/tockd.toml, or its tables into the one that tockd init makes. Then: tockd check",
    "# 3. Enrol the devices. No secret was carried over:",
    ...users.map((user) => `#      tockd device add ${user.device}`),
    "# 4. Stop the old daemon and take its rules out, start tockd, and then: tockd guard on",
    ...(knocks && range === undefined ? ["#", `# [knock] ${NO_RANGE}`] : []),
  ];
  return `${head.join("\n")}\n\n${tables.map((table) => table.trimEnd()).join("\n\n")}\n`;
}

function serviceTable({ ports, ttl, maxTtl }: ImportedService): string {
  const usual = Math.max(ttl ?? TTL, CAP);
  const cap = maxTtl === undefined ? undefined : Math.max(maxTtl, ttl ?? TTL);
  return stringify({
    ports: ports.map(formatPortRange),
    ...(ttl !== undefined && ttl !== TTL && { ttl: `${ttl}s` }),
    ...(cap !== undefined && cap !== usual && { max_ttl: `${cap}s` }),
  });
}

function userTable(user: ImportedUser, services: readonly ImportedService[]): string {
  const mine = services.filter(({ name }) => user.services.includes(name));
  const isShorter = user.maxTtl !== undefined && mine.some(({ ttl }) => (ttl ?? TTL) > (user.maxTtl ?? 0));
  const lines = stringify({
    services: user.services,
    ...(user.networks.length > 0 && { networks: user.networks }),
    ...(user.knock && { knock: true }),
    ...(user.address !== "packet" && { address: user.address }),
    ...(isShorter && { max_ttl: `${user.maxTtl}s` }),
  });
  return user.expires === undefined ? lines : `${lines.trimEnd()}\nexpires = ${user.expires}\n`;
}
