import { parse, TomlError } from "smol-toml";
import { type Seconds, seconds, type ServiceName } from "../../shared/brand.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Service } from "../core/grant.ts";
import type { User } from "../core/user.ts";
import { crossCheck } from "./cross-checks.ts";
import { hoursOf } from "./hours.ts";
import { serviceName, userName } from "./leaf.ts";
import { locate } from "./locate.ts";
import { ConfigMistake } from "./mistake.ts";
import { TableReader } from "./read-table.ts";
import {
  type Clock,
  type Firewall,
  type Hooks,
  type Knock,
  namedSchemas,
  type Rotation,
  type Server,
  type ServiceTable,
  sectionSchemas,
  type UserTable,
} from "./schema.ts";
import type { Settings } from "./settings.ts";

/** Cap on lifetimes where a service sets none and its own lifetime is shorter: ten minutes. */
const DEFAULT_MAX_TTL = seconds(600);
const MOST_SERVICES = 64;
const MOST_USERS = 10_000;

/**
 * The settings that a TOML text stands for, or every mistake in it, in the order of its lines.
 * A text that is no TOML gives the one mistake where the parser stopped. `file` is for the messages alone.
 */
export function parseSettings(text: string, file: string): Result<Settings, readonly ConfigMistake[]> {
  let document: Record<string, unknown>;
  try {
    document = parse(text, { unsafeKeyBehaviour: "throw", maxDepth: 32 });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const message = error.message.split("\n", 1)[0]?.replace(/^Invalid TOML document: /, "");
    const complaint = {
      path: [],
      message: `${message}`,
      hint: "this is not TOML; nothing after it was looked at",
    };
    return err([new ConfigMistake(file, { line: error.line, column: error.column }, complaint)]);
  }
  const reader = new TableReader();
  const places = locate(text);
  for (const { path, text } of places.impossibleDates)
    reader.complain(path, `expected a day that exists, got ${text}`);
  const settings = readDocument(document, reader);
  if (settings !== undefined) return ok(settings);
  const mistakes = reader.complaints.map(
    (complaint) => new ConfigMistake(file, places.find(complaint.path), complaint),
  );
  const order = (mistake: ConfigMistake): number =>
    (mistake.position?.line ?? 0) * 1e6 + (mistake.position?.column ?? 0);
  return err(mistakes.sort((a, b) => order(a) - order(b)));
}

/** Undefined only where `reader` has complaints. */
function readDocument(document: Record<string, unknown>, reader: TableReader): Settings | undefined {
  reader.unknownKeys([], document, [...Object.keys(sectionSchemas), ...Object.keys(namedSchemas)]);
  const server = reader.read(["server"], document["server"], sectionSchemas.server);
  const clock = reader.read(["clock"], document["clock"], sectionSchemas.clock);
  const knock = reader.read(["knock"], document["knock"], sectionSchemas.knock);
  const firewall = reader.read(["firewall"], document["firewall"], sectionSchemas.firewall);
  const rotation = reader.read(["rotation"], document["rotation"], sectionSchemas.rotation);
  const metrics = reader.read(["metrics"], document["metrics"], sectionSchemas.metrics);
  const hooks = reader.read(["hooks"], document["hooks"], sectionSchemas.hooks);
  const services = new Map<string, Partial<ServiceTable>>();
  for (const [name, raw] of named("services", document["services"], MOST_SERVICES, reader)) {
    reader.name(["services", name], serviceName);
    services.set(name, reader.read(["services", name], raw, namedSchemas.services));
  }
  if (services.size === 0) {
    reader.complain(
      ["services"],
      "expected at least one service, got none",
      "add a table such as [services.ssh]",
    );
  }
  const users = new Map<string, Partial<UserTable>>();
  for (const [name, raw] of named("users", document["users"], MOST_USERS, reader)) {
    reader.name(["users", name], userName);
    users.set(name, reader.read(["users", name], raw, namedSchemas.users));
  }
  crossCheck({ server, clock, knock, rotation, services, users }, reader);
  if (reader.complaints.length > 0) return undefined;
  // Without a complaint nothing is missing and every name is in order.
  const { ports, length, transport } = knock as Knock;
  const { rotate_after: rotateAfter, expire_after: expireAfter } = rotation as Rotation;
  return {
    server: server as Server,
    skew: clock as Clock,
    knock: { ...ports, length, transport },
    firewall: firewall as Firewall,
    services: [...services].map(([name, table]) => toService(name as ServiceName, table as ServiceTable)),
    users: [...users].map(([name, table]) => toUser(name, table as UserTable)),
    rotation: { rotateAfter, expireAfter },
    metrics: { listen: metrics.listen },
    hooks: toHooks(hooks as Hooks),
  };
}

/** The tables under [services] or [users], by name; at most `most` of them. */
function named(path: string, raw: unknown, most: number, reader: TableReader): [string, unknown][] {
  const entries = Object.entries(reader.table([path], raw) ?? {});
  if (entries.length <= most) return entries;
  reader.complain([path], `expected at most ${most} tables, got ${entries.length}`);
  return entries.slice(0, most);
}

function toService(name: ServiceName, table: ServiceTable): Service {
  const { ports, ttl, max_ttl: cap, second_factor: code, forward, to } = table;
  return {
    name,
    ports,
    ttl,
    maxTtl: cap ?? longer(ttl, DEFAULT_MAX_TTL),
    secondFactor: code === "required",
    ...(forward !== false && { forward: forward === true ? true : forward.map(String) }),
    ...(to !== undefined && { to }),
  };
}

function toHooks({ on_grant, on_close, on_alarm, user, timeout }: Hooks): Settings["hooks"] {
  return { onGrant: on_grant, onClose: on_close, onAlarm: on_alarm, user, timeout };
}

function longer(a: Seconds, b: Seconds): Seconds {
  return a > b ? a : b;
}

function toUser(name: string, table: UserTable): User {
  return {
    name,
    enabled: table.enabled,
    services: table.services,
    expiresAt: table.expires,
    networks: table.networks,
    deny: table.deny,
    mayKnock: table.knock,
    hours: hoursOf(table.hours, table.timezone),
    connections: table.connections,
    address: table.address,
    widen: table.widen,
    bindsPort: table.bind === "source-port",
    maxTtl: table.max_ttl,
    secondFactor: table.second_factor === "required",
  };
}
