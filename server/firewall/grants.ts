import type { Address } from "../../shared/address.ts";
import type { Port, ServiceName } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { OpenGrant } from "../core/firewall.ts";
import type { Grant } from "../core/grant.ts";
import type { GrantSet, GrantStore } from "./grant-set.ts";

/** Opens a grant in its set. */
export function openGrant(store: GrantStore, grant: Grant): Result<void> {
  const { service, source, sourcePort, lifetime, connections } = grant;
  if (lifetime < 1)
    return err(new TockError("firewall", `grant: expected a lifetime of 1 s or more, got ${lifetime}`));
  const set = {
    service: service.name,
    family: source.family,
    port: sourcePort !== undefined,
    counted: connections > 0,
  };
  return store.add(set, { source, sourcePort }, lifetime, connections);
}

/** Takes one source out of every set of a service. */
export function closeGrants(store: GrantStore, service: ServiceName, source: Address): Result<void> {
  const existing = store.sets();
  if (!existing.ok) return existing;
  const mine = existing.value.filter((set) => set.service === service && set.family === source.family);
  for (const set of mine) {
    const held = set.port ? store.dump(set) : ok([{ source, sourcePort: undefined }]);
    if (!held.ok) return held;
    for (const key of held.value.filter((each) => each.source.equals(source))) {
      const removed = store.remove(set, key);
      if (!removed.ok) return removed;
    }
  }
  return ok(undefined);
}

/** Every grant that still lets somebody in: one line for each service, source and source port. */
export function listGrants(store: GrantStore): Result<OpenGrant[]> {
  const existing = store.sets();
  if (!existing.ok) return existing;
  const grants = new Map<string, OpenGrant>();
  for (const set of existing.value) {
    const held = store.dump(set);
    if (!held.ok) return held;
    for (const { source, sourcePort, remaining, left } of held.value) {
      if (left === 0) continue;
      const key = `${set.service} ${source.text} ${sourcePort ?? ""}`;
      const before = grants.get(key);
      if (before !== undefined && before.remaining >= remaining) continue;
      grants.set(key, {
        service: set.service,
        source,
        sourcePort: sourcePort as Port | undefined,
        remaining,
      });
    }
  }
  return ok([...grants.values()]);
}

/** Sets in the kernel that no service of the plan has any more. */
export function staleSets(store: GrantStore, services: readonly ServiceName[]): Result<GrantSet[]> {
  const existing = store.sets();
  return existing.ok ? ok(existing.value.filter((set) => !services.includes(set.service))) : existing;
}
