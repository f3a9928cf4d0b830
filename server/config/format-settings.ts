import { stringify, TomlDate } from "smol-toml";
import { formatPortRange } from "../../shared/port-range.ts";
import type { Service } from "../core/grant.ts";
import { formatTarget } from "../core/target.ts";
import type { User, Widths } from "../core/user.ts";
import { formatDuration } from "./duration.ts";
import type { Settings } from "./settings.ts";

/** Settings as a document of tockd.toml, every default written out. Key material is never part of the settings. */
export function settingsDocument(settings: Settings): Record<string, unknown> {
  const { first, last, length, transport } = settings.knock;
  const { rotateAfter, expireAfter } = settings.rotation;
  const { listen } = settings.metrics;
  const { onGrant, onClose, onAlarm, user, timeout } = settings.hooks;
  return {
    server: { ...settings.server },
    clock: { ...settings.skew },
    knock: { ports: `${first}-${last}`, length, transport },
    firewall: { ...settings.firewall, allow: settings.firewall.allow.map(String) },
    rotation: {
      rotate_after: rotateAfter === undefined ? "never" : formatDuration(rotateAfter),
      expire_after: expireAfter === undefined ? "never" : formatDuration(expireAfter),
    },
    ...(listen !== undefined && { metrics: { listen: endpoint(listen) } }),
    hooks: {
      ...(onGrant !== undefined && { on_grant: onGrant }),
      ...(onClose !== undefined && { on_close: onClose }),
      ...(onAlarm !== undefined && { on_alarm: onAlarm }),
      user,
      timeout: formatDuration(timeout),
    },
    services: Object.fromEntries(settings.services.map((service) => [service.name, serviceTable(service)])),
    users: Object.fromEntries(settings.users.map((user) => [user.name, userTable(user)])),
  };
}

/** TOML that {@link parseSettings} makes the same settings of. */
export function formatSettings(settings: Settings): string {
  return stringify(settingsDocument(settings));
}

function endpoint({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function serviceTable(service: Service): Record<string, unknown> {
  const { ports, ttl, maxTtl, secondFactor, forward, to } = service;
  return {
    ports: ports.map(formatPortRange),
    ttl: formatDuration(ttl),
    max_ttl: formatDuration(maxTtl),
    second_factor: required(secondFactor),
    forward: forward ?? false,
    ...(to !== undefined && { to: to.map(formatTarget) }),
  };
}

function userTable(user: User): Record<string, unknown> {
  const { expiresAt, maxTtl } = user;
  return {
    services: user.services,
    enabled: user.enabled,
    ...(expiresAt !== undefined && { expires: TomlDate.wrapAsOffsetDateTime(new Date(expiresAt)) }),
    networks: user.networks.map(String),
    deny: user.deny.map(String),
    knock: user.mayKnock,
    hours: user.hours?.texts ?? [],
    timezone: user.hours?.timezone ?? "UTC",
    connections: user.connections,
    address: user.address,
    widen: widenTable(user.widen),
    bind: user.bindsPort ? "source-port" : "any",
    ...(maxTtl !== undefined && { max_ttl: formatDuration(maxTtl) }),
    second_factor: required(user.secondFactor),
  };
}

function widenTable(widen: Widths): Record<string, number> {
  return {
    ...(widen[4] !== undefined && { ipv4: widen[4] }),
    ...(widen[6] !== undefined && { ipv6: widen[6] }),
  };
}

function required(isAsked: boolean): string {
  return isAsked ? "required" : "off";
}
