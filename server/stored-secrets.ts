import type { Address } from "../shared/address.ts";
import type { UnixMillis } from "../shared/brand.ts";
import type { ReplyResult } from "../shared/reply.ts";
import { nextSecret } from "../shared/rotation.ts";
import type { Device } from "./core/device.ts";
import type { AuditEvent } from "./core/event.ts";
import { agreed, promoted } from "./core/rotation.ts";
import type { Secrets } from "./gate.ts";
import type { DeviceStore } from "./store/device-store.ts";

/**
 * Rotation on the daemon's side. Every change is on disk before it is in effect, so that at any moment the device and
 * the daemon hold a secret in common. It is made on the device as the store has it, which a command may have changed.
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

  promote(device: Device, source: Address, now: UnixMillis): Device | undefined {
    const used = device.next?.secret;
    const isFirstUse = (stored: Device): boolean =>
      used !== undefined && stored.next?.secret.equals(used) === true;
    const kept = this.#update(device, (stored) => (isFirstUse(stored) ? promoted(stored, now) : stored));
    if (kept === undefined || used === undefined || !kept.current.secret.equals(used)) return undefined;
    const kind = kept.enrolling ? "link-opened" : device.enrolling ? "enrolled" : "rotated";
    this.#emit({ kind, device: device.id, source });
    return kept;
  }

  rotate(device: Device, ephemeral: Uint8Array, source: Address, now: UnixMillis): ReplyResult {
    const { id, key } = this.#store.identity;
    const secret = nextSecret(device.current.secret, key, ephemeral, ephemeral, id);
    if (secret === undefined) return "refused";
    const agreement = agreed(device, secret, now);
    switch (agreement.kind) {
      case "known":
        return "rotated";
      case "link-used":
        this.#emit({ kind: "enrolment-reused", device: device.id, source });
        return "expired";
      case "link-pending":
        return "refused";
      case "agreed": {
        const kept = this.#update(device, (stored) => {
          const isSame = stored.current.secret.equals(device.current.secret);
          const again = isSame ? agreed(stored, secret, now) : undefined;
          return again?.kind === "agreed" ? again.device : stored;
        });
        return kept?.next?.secret.equals(secret) === true ? "rotated" : "refused";
      }
    }
  }

  /** The device as it is in the store after the change, and in memory too; undefined where it could not be stored. */
  #update(device: Device, change: (stored: Device) => Device): Device | undefined {
    const stored = this.#store.update(device.id, change);
    if (stored.ok) this.#changed(stored.value);
    else this.#emit({ kind: "store-error", message: stored.error.message, device: device.id });
    return stored.ok ? stored.value : undefined;
  }
}
