import { randomBytes } from "node:crypto";
import { DeviceStore } from "../../server/store/device-store.ts";
import type { Device } from "../../server/core/device.ts";
import { parseDeviceId, unixMillis } from "../../shared/brand.ts";
import { unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";

/** Devices and stores for tests. */

export const BEGINNING = unixMillis(Date.UTC(2026, 0, 1));

export function newSecret(): Secret {
  return new Secret(randomBytes(32));
}

export function newDevice(id: string, more: Partial<Device> = {}): Device {
  return {
    id: unwrap(parseDeviceId(id)),
    enabled: true,
    current: { secret: newSecret(), since: BEGINNING },
    currentUntil: undefined,
    next: undefined,
    nextFromLink: false,
    retired: [],
    enrolling: false,
    isStatic: false,
    services: undefined,
    expiresAt: undefined,
    ...more,
  };
}

/** An empty store in a folder of mode 0700. */
export function newStore(folder: string): DeviceStore {
  return unwrap(DeviceStore.create(folder, { id: randomBytes(16), key: newSecret() }));
}

/** Bytes in place of every secret, so that two devices can be compared. */
export function exposed(value: unknown): unknown {
  if (value instanceof Secret) return Buffer.from(value.expose()).toString("hex");
  if (Array.isArray(value)) return value.map(exposed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, exposed(inner)]));
}
