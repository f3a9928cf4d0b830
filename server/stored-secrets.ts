import type { Address } from "../shared/address.ts";
import { type UnixMillis, unixMillis } from "../shared/brand.ts";
import type { ReplyResult } from "../shared/reply.ts";
import { nextSecret } from "../shared/rotation.ts";
import type { Secret } from "../shared/secret.ts";
import type { Device, Slot } from "./core/device.ts";
import type { AuditEvent } from "./core/event.ts";
import type { Secrets } from "./gate.ts";
import type { DeviceStore } from "./store/device-store.ts";

/** How long the use of a retired secret is recognised, and so raises the alarm. */
const RETIRED_MILLIS = 30 * 24 * 3600 * 1000;

/**
 * Rotation on the daemon's side. Every change is on disk before it is in effect, so that at any moment the device and
 * the daemon hold a secret in common.
 */
export class StoredSecrets implements Secrets {
  readonly #store: DeviceStore;
  readonly #changed: (device: Device) => void;
  readonly #emit: (event: AuditEvent) => void;

  constructor(store: DeviceStore, changed: (device: Device) => void, emit: (event: AuditEvent) => void) {
    this.#store = store;
    this.#changed = changed;
    this.#emit = emit;
  }

  promote(device: Device, source: Address, now: UnixMillis): Device {
    if (device.next === undefined) return device;
    const until = unixMillis(now + RETIRED_MILLIS);
    const promoted: Device = {
      ...device,
      current: device.next,
      next: undefined,
      retired: [...device.retired.filter((old) => old.until > now), { secret: device.current.secret, until }],
      enrolling: false,
    };
    if (!this.#keep(promoted)) return device;
    this.#emit({ kind: device.enrolling ? "enrolled" : "rotated", device: device.id, source });
    return promoted;
  }

  rotate(device: Device, slot: Slot, ephemeral: Uint8Array, source: Address, now: UnixMillis): ReplyResult {
    const from = slot === "next" ? device.next : device.current;
    const next = from && this.#agree(from.secret, ephemeral);
    if (next === undefined) return "refused";
    if (device.next?.secret.equals(next) === true) return "rotated";
    if (device.enrolling && device.next !== undefined) {
      this.#emit({ kind: "enrolment-reused", device: device.id, source });
      return "expired";
    }
    return this.#keep({ ...device, next: { secret: next, since: now } }) ? "rotated" : "refused";
  }

  #agree(current: Secret, ephemeral: Uint8Array): Secret | undefined {
    const { id, key } = this.#store.identity;
    return nextSecret(current, key, ephemeral, ephemeral, id);
  }

  #keep(device: Device): boolean {
    const stored = this.#store.put(device);
    if (stored.ok) this.#changed(device);
    else this.#emit({ kind: "store-error", message: stored.error.message, device: device.id });
    return stored.ok;
  }
}
