import type { UnixMillis } from "../../shared/brand.ts";
import { userOf } from "../../shared/brand.ts";
import { roughly } from "../config/duration.ts";
import type { Settings } from "../config/settings.ts";
import type { User } from "../core/user.ts";
import type { DeviceRecord } from "../store/device-rows.ts";

/** What people and programs may see of a device: never a secret. */

/** One word for what a device can do now, the strongest hindrance first. */
export type DeviceState =
  | "no-user"
  | "user-disabled"
  | "disabled"
  | "expired"
  | "secret-expired"
  | "enrolling"
  | "rotating"
  | "static"
  | "active";

function stateOf(device: DeviceRecord, settings: Settings, now: UnixMillis): DeviceState {
  const user = userOfRecord(device, settings);
  if (user === undefined) return "no-user";
  if (!user.enabled) return "user-disabled";
  if (!device.enabled) return "disabled";
  if (isPast(user.expiresAt, now) || isPast(device.expiresAt, now)) return "expired";
  const { expireAfter } = settings.rotation;
  const secret = device.next ?? device.current;
  if (expireAfter !== undefined && now - secret.since >= expireAfter * 1000)
    return "secret-expired";
  if (device.enrolling) return "enrolling";
  if (device.next !== undefined) return "rotating";
  return device.isStatic ? "static" : "active";
}

function userOfRecord(device: DeviceRecord, settings: Settings): User | undefined {
  const name = userOf(device.id);
  return settings.users.find((user) => user.name === name);
}

function isPast(moment: UnixMillis | undefined, now: UnixMillis): boolean {
  return moment !== undefined && moment <= now;
}

export type DeviceJson = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/** For `--json`. Times are RFC 3339; null = none. */
export function deviceJson(device: DeviceRecord, settings: Settings, now: UnixMillis): DeviceJson {
  return {
    device: device.id,
    state: stateOf(device, settings, now),
    enabled: device.enabled,
    enrolling: device.enrolling,
    static: device.isStatic,
    services: device.services ?? userOfRecord(device, settings)?.services ?? [],
    created: time(device.createdAt),
    secretSince: time(device.current.since),
    nextSecretSince: time(device.next?.since),
    secretUntil: time(device.currentUntil),
    retiredSecrets: device.retired.length,
    expires: time(device.expiresAt),
    lastUsed: time(device.lastUse?.at),
    lastUsedFrom: device.lastUse?.source ?? null,
  };
}

export const LIST_HEADING = ["DEVICE", "STATE", "SECRET", "LAST USED", "FROM", "EXPIRES"] as const;

export function deviceRow(device: DeviceRecord, settings: Settings, now: UnixMillis): string[] {
  return [
    device.id,
    stateOf(device, settings, now),
    `${roughly(now - device.current.since)} old`,
    device.lastUse === undefined ? "never" : `${roughly(now - device.lastUse.at)} ago`,
    device.lastUse?.source ?? "-",
    time(device.expiresAt)?.slice(0, 10) ?? "never",
  ];
}

function time(moment: UnixMillis | undefined): string | null {
  return moment === undefined ? null : new Date(moment).toISOString();
}
