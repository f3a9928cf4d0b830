import {
  type DeviceId,
  parseDeviceId,
  parseServiceName,
  type ServiceName,
  unixMillis,
} from "../../shared/brand.ts";
import type { UnixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import type { Device } from "../core/device.ts";
import type { Row } from "./sqlite.ts";

/** A device as the store keeps it: what the daemon works with, and what only people look at. */
export interface DeviceRecord extends Device {
  /** Never given to another device, not even after removal. */
  readonly number: number;
  readonly createdAt: UnixMillis;
  readonly lastUse: { readonly at: UnixMillis; readonly source: string } | undefined;
}

/** What rotation and enrolment change, with the values of {@link secretValues}. */
export const SECRET_COLUMNS = [
  "current",
  "current_since",
  "current_until",
  "next",
  "next_since",
  "next_from_link",
  "enrolling",
] as const;

/** What people decide, with the values of {@link policyValues}. */
export const POLICY_COLUMNS = ["enabled", "static", "services", "expires"] as const;

type Values = (number | string | Uint8Array | null)[];

export function secretValues(device: Device): Values {
  const { current, next } = device;
  return [
    current.secret.expose(),
    current.since,
    next === undefined ? null : (device.currentUntil ?? null),
    next?.secret.expose() ?? null,
    next?.since ?? null,
    Number(next !== undefined && device.nextFromLink),
    Number(device.enrolling),
  ];
}

export function policyValues(device: Device): Values {
  const { enabled, isStatic, services, expiresAt } = device;
  return [Number(enabled), Number(isStatic), services?.join(" ") ?? null, expiresAt ?? null];
}

/** Throws a TockError that names the row where a value is not what the store writes. */
export function toDevice(row: Row, retired: Device["retired"]): DeviceRecord {
  try {
    const next =
      row["next"] === null ? undefined : { secret: secretOf(row["next"]), since: timeOf(row["next_since"]) };
    const used = optionalTime(row["used"]);
    return {
      number: Number(row["number"]),
      id: idOf(row["id"]),
      enabled: row["enabled"] === 1,
      current: { secret: secretOf(row["current"]), since: timeOf(row["current_since"]) },
      next,
      retired,
      enrolling: row["enrolling"] === 1,
      isStatic: row["static"] === 1,
      services: servicesOf(row["services"]),
      expiresAt: optionalTime(row["expires"]),
      createdAt: timeOf(row["created"]),
      lastUse: used === undefined ? undefined : { at: used, source: textOf(row["used_from"]) },
      nextFromLink: row["next_from_link"] === 1,
      currentUntil: optionalTime(row["current_until"]),
    };
  } catch (error) {
    if (!(error instanceof TockError || error instanceof RangeError)) throw error;
    const hint = "restore a backup, or remove that device and enrol it anew";
    throw new TockError("io", `device store: row ${Number(row["number"])} is damaged`, hint);
  }
}

export function toRetired(row: Row): Device["retired"][number] {
  return { secret: secretOf(row["secret"]), until: timeOf(row["until"]) };
}

export function idOf(value: unknown): DeviceId {
  return unwrap(parseDeviceId(textOf(value)));
}

function servicesOf(value: unknown): ServiceName[] | undefined {
  return value === null
    ? undefined
    : textOf(value)
        .split(" ")
        .map((name) => unwrap(parseServiceName(name)));
}

function secretOf(value: unknown): Secret {
  if (!(value instanceof Uint8Array) || value.length !== 32)
    throw new RangeError("secret: expected 32 bytes");
  return new Secret(value);
}

function optionalTime(value: unknown): UnixMillis | undefined {
  return value === null ? undefined : timeOf(value);
}

function timeOf(value: unknown): UnixMillis {
  return unixMillis(typeof value === "number" ? value : Number.NaN);
}

function textOf(value: unknown): string {
  if (typeof value !== "string") throw new RangeError("text: expected a string");
  return value;
}
