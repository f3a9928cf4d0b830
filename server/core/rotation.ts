import { type UnixMillis, unixMillis } from "../../shared/brand.ts";
import type { Secret } from "../../shared/secret.ts";
import type { Device } from "./device.ts";

/** How long the use of a retired secret is recognised, and so raises the alarm. */
const RETIRED_MILLIS = 30 * 24 * 3600 * 1000;

/** `next` was used: it is the device's secret from now on, and the one before grants nothing any more. */
export function promoted(device: Device, now: UnixMillis): Device {
  const { current, next, nextFromLink, retired } = device;
  if (next === undefined) return device;
  const until = unixMillis(now + RETIRED_MILLIS);
  return {
    ...device,
    current: next,
    next: undefined,
    retired: [...retired.filter((old) => old.until > now), { secret: current.secret, until }],
    enrolling: nextFromLink,
    nextFromLink: false,
    currentUntil: undefined,
  };
}

/**
 * The device agreed on `secret` under its current one, to be its `next`.
 *
 * - `agreed`: to be stored
 * - `known`: agreed before, and the reply was lost
 * - `link-used`: somebody else has agreed on a secret with the same link
 * - `link-pending`: the owner has made a new link for the device, which this must not undo
 */
export type Agreement =
  | { readonly kind: "agreed"; readonly device: Device }
  | { readonly kind: "known" | "link-used" | "link-pending" };

export function agreed(device: Device, secret: Secret, now: UnixMillis): Agreement {
  if (device.next?.secret.equals(secret) === true) return { kind: "known" };
  if (device.nextFromLink) return { kind: "link-pending" };
  if (device.enrolling && device.next !== undefined) return { kind: "link-used" };
  return { kind: "agreed", device: { ...device, next: { secret, since: now } } };
}
