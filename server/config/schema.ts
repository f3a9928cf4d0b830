import * as v from "valibot";
import { DEFAULT_SKEW, DEFAULT_SPA_PORT, KNOCK_DEFAULTS, MAX_SKEW } from "../../shared/constants.ts";
import {
  absolutePath,
  account,
  argv,
  duration,
  durationOrNever,
  flag,
  host,
  hours,
  instant,
  knockPorts,
  list,
  loopback,
  oneOf,
  port,
  portRange,
  serverName,
  serviceName,
  socketPath,
  timezone,
  whole,
} from "./leaf.ts";
import { forward, network, partNetwork, targets, widths } from "./network-leaf.ts";

/**
 * What `tockd.toml` may hold: one schema a table, each key with its check and its default.
 * Rules between keys stand in cross-checks.ts; docs/CONFIG.md says the same in words, and a test compares the two.
 */

/** A packet and its answer carry lifetimes as 16 bits of seconds. */
const ttl = duration(1, 65_535, 'a lifetime from "1s" to "18h"');
const networks = list(network, 0, 256, 'for example ["192.0.2.0/24", "2001:db8::/32"]');

const serverSchema = v.object({
  name: serverName,
  addresses: list(host, 1, 8, 'for example ["203.0.113.7", "vpn.example.org"]'),
  port: v.optional(port, DEFAULT_SPA_PORT),
  state: v.optional(absolutePath, "/var/lib/tock"),
  socket: v.optional(socketPath, "/run/tock/tockd.sock"),
  user: v.optional(account, "tock"),
  reply: v.optional(oneOf("authenticated", "never"), "authenticated"),
  engine: v.optional(oneOf("packets", "kernel"), "packets"),
});

const clockSchema = v.object({
  past: v.optional(whole(0, MAX_SKEW, "steps of 30 seconds"), DEFAULT_SKEW),
  future: v.optional(whole(0, MAX_SKEW, "steps of 30 seconds"), DEFAULT_SKEW),
});

const knockSchema = v.object({
  ports: v.optional(knockPorts, `${KNOCK_DEFAULTS.first}-${KNOCK_DEFAULTS.last}`),
  length: v.optional(whole(3, 8, "ports in a sequence"), KNOCK_DEFAULTS.length),
  transport: v.optional(oneOf("tcp", "udp", "both"), "tcp"),
});

const firewallSchema = v.object({
  backend: v.optional(oneOf("iptables", "nftables", "dry-run"), "iptables"),
  allow: v.optional(list(partNetwork, 0, 64, 'for example ["198.51.100.0/24"]'), []),
});

const rotationSchema = v.object({
  rotate_after: v.optional(durationOrNever(1, "a duration"), "30d"),
  expire_after: v.optional(durationOrNever(1, "a duration"), "never"),
});

const metricsSchema = v.object({
  listen: v.optional(loopback),
});

const hooksSchema = v.object({
  on_grant: v.optional(argv),
  on_close: v.optional(argv),
  on_alarm: v.optional(argv),
  user: v.optional(account, "nobody"),
  timeout: v.optional(duration(1, 3600, 'a time from "1s" to "1h"'), "10s"),
});

const serviceSchema = v.object({
  ports: list(portRange, 1, 64, 'for example ["tcp/22"]'),
  ttl: v.optional(ttl, "30s"),
  max_ttl: v.optional(ttl),
  second_factor: v.optional(oneOf("required", "off"), "off"),
  forward: v.optional(forward, false),
  to: v.optional(targets),
});

const userSchema = v.object({
  services: list(serviceName, 1, 64, 'for example ["ssh"]'),
  enabled: v.optional(flag, true),
  expires: v.optional(instant),
  networks: v.optional(networks, []),
  deny: v.optional(networks, []),
  knock: v.optional(flag, false),
  hours: v.optional(list(hours, 0, 64, 'for example ["mon-fri 08:00-18:00"]'), []),
  timezone: v.optional(timezone, "UTC"),
  connections: v.optional(whole(0, 255, "new connections per grant; 0 = no limit"), 0),
  address: v.optional(oneOf("packet", "claimed", "claimed-must-match"), "packet"),
  widen: v.optional(widths, {}),
  bind: v.optional(oneOf("any", "source-port"), "any"),
  max_ttl: v.optional(ttl),
  second_factor: v.optional(oneOf("required", "off"), "off"),
});

/** The tables with fixed names. */
export const sectionSchemas = {
  server: serverSchema,
  clock: clockSchema,
  knock: knockSchema,
  firewall: firewallSchema,
  rotation: rotationSchema,
  metrics: metricsSchema,
  hooks: hooksSchema,
} as const;

/** The tables with one table a name: `[services.NAME]`. */
export const namedSchemas = { services: serviceSchema, users: userSchema } as const;

export type Server = v.InferOutput<typeof serverSchema>;
export type Clock = v.InferOutput<typeof clockSchema>;
export type Firewall = v.InferOutput<typeof firewallSchema>;
export type Knock = v.InferOutput<typeof knockSchema>;
export type Rotation = v.InferOutput<typeof rotationSchema>;
export type Hooks = v.InferOutput<typeof hooksSchema>;
export type ServiceTable = v.InferOutput<typeof serviceSchema>;
export type UserTable = v.InferOutput<typeof userSchema>;
