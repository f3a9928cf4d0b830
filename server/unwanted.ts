import { type DeviceId, type UnixMillis, userOf } from "../shared/brand.ts";
import { ok } from "../shared/result.ts";
import type { Settings } from "./config/settings.ts";
import type { Device } from "./core/device.ts";
import type { AuditEvent } from "./core/event.ts";
import type { Grant } from "./core/grant.ts";
import { isByHand } from "./grant-desk.ts";
import type { OpenGrants } from "./open-grants.ts";

export interface UnwantedParts {
  readonly grants: OpenGrants;
  readonly device: (id: DeviceId) => Device | undefined;
  readonly emit: (event: AuditEvent) => void;
}

/**
 * Ends what nobody could open any more: of devices, users or services that are gone or switched off. They may have gone
 * while no daemon was there to see it.
 */
export function endUnwanted(
  { grants, device, emit }: UnwantedParts,
  { users, services }: Settings,
  now: UnixMillis,
  why: "reload" | "start",
): void {
  const names = new Set(services.map(({ name }) => name));
  const gone = grants.forget((grant) => !names.has(grant.service.name));
  const isOver = (end: UnixMillis | undefined): boolean => end !== undefined && end <= now;
  const isOff = (id: DeviceId): boolean => {
    const known = device(id);
    return known === undefined ? !isByHand(id) : !known.enabled || isOver(known.expiresAt);
  };
  const isUnwanted = (grant: Grant): boolean => {
    const user = users.find(({ name }) => name === userOf(grant.device));
    const may = user?.enabled === true && user.services.includes(grant.service.name);
    return !may || isOver(user.expiresAt) || isOff(grant.device);
  };
  for (const ended of [...gone.map((each) => ok(each)), ...grants.endWhere(isUnwanted)]) {
    if (!ended.ok) {
      emit({ kind: "firewall-error", message: ended.error.message });
      continue;
    }
    const { device: id, service, source } = ended.value;
    emit({ kind: "ended", device: id, service: service.name, allowed: source, why });
  }
}
