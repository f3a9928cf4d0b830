import type { DeviceId } from "../shared/brand.ts";
import { ok, type Result } from "../shared/result.ts";
import type { Device } from "./core/device.ts";
import type { DeviceTable } from "./core/device-table.ts";
import type { AuditEvent } from "./core/event.ts";
import type { OpenGrants } from "./open-grants.ts";
import type { DeviceStore } from "./store/device-store.ts";

export interface DeviceKeeperParts {
  readonly store: DeviceStore;
  /** The table in use: it changes when keys are to be derived otherwise. */
  readonly table: () => DeviceTable;
  readonly grants: OpenGrants;
  readonly mayKnock: (device: Device) => boolean;
  readonly emit: (event: AuditEvent) => void;
}

/** Keeps the devices in memory as the store has them, and ends the grants of those that are gone. */
export class DeviceKeeper {
  readonly #parts: DeviceKeeperParts;
  #revision = 0;

  constructor(parts: DeviceKeeperParts) {
    this.#parts = parts;
  }

  /** Reads every device. */
  load(): Result<void> {
    const loaded = this.#parts.store.loadAll();
    if (!loaded.ok) return loaded;
    this.#revision = loaded.value.revision;
    for (const device of loaded.value.devices) this.put(device);
    return ok(undefined);
  }

  /** In effect at once. The store has it already. */
  put(device: Device): void {
    this.#parts.table().put(device, this.#parts.mayKnock(device));
  }

  /** Reads what commands changed in the store; who was disabled or removed loses open grants at once. */
  readChanges(): Result<void> {
    const { store } = this.#parts;
    const table = this.#parts.table();
    const changes = store.changedSince(this.#revision);
    if (!changes.ok) return changes;
    this.#revision = changes.value.revision;
    for (const device of changes.value.changed) {
      this.put(device);
      if (!device.enabled) this.#closeGrants(device.id);
    }
    for (const id of changes.value.removed) {
      table.remove(id);
      this.#closeGrants(id);
    }
    return ok(undefined);
  }

  #closeGrants(device: DeviceId): void {
    const { grants, emit } = this.#parts;
    for (const ended of grants.closeAll(device)) {
      if (!ended.ok) emit({ kind: "firewall-error", message: ended.error.message, device });
      else {
        const { service, source } = ended.value;
        emit({ kind: "closed", device, source, service: service.name, allowed: source });
      }
    }
  }
}
