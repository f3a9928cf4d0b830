import type { Address } from "../../shared/address.ts";
import type { Port, ServiceName } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Entry, OpenGrant } from "../core/firewall.ts";
import type { Grant } from "../core/grant.ts";
import { type GrantKey, type GrantSet, type GrantStore, keyIn, nameOf } from "./grant-set.ts";

/** Opens a grant in its set. */
export function openGrant(store: GrantStore, grant: Grant): Result<void> {
  const { lifetime, connections } = grant;
  if (lifetime < 1)
    return err(new TockError("firewall", `grant: expected a lifetime of 1 s or more, got ${lifetime}`));
  const set = setFor(grant);
  return store.add(set, keyFor(grant, set), lifetime, connections);
}

function setFor({ service, source, prefix, sourcePort, connections }: Entry): GrantSet {
  const port = sourcePort !== undefined;
  return {
    service: service.name,
    family: source.family,
    port,
    prefix: port ? undefined : prefix,
    counted: connections > 0,
  };
}

function keyFor({ source, sourcePort }: Entry, set: GrantSet): GrantKey {
  return { source: keyIn(set, source), sourcePort };
}

/** Takes one source, and the networks around it, out of every set of a service; or just one grant out of its own. */
export function closeGrants(
  store: GrantStore,
  service: ServiceName,
  source: Address,
  only?: Entry,
): Result<void> {
  if (only !== undefined) return store.remove(setFor(only), keyFor(only, setFor(only)));
  const existing = store.sets();
  if (!existing.ok) return existing;
  const mine = existing.value.filter((set) => set.service === service && set.family === source.family);
  for (const set of mine) {
    const key = keyIn(set, source);
    const held = set.port ? store.dump(set) : ok([{ source: key, sourcePort: undefined }]);
    if (!held.ok) return held;
    for (const each of held.value.filter((each) => each.source.equals(key))) {
      const removed = store.remove(set, each);
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
      const key = `${set.service} ${source.text} ${set.prefix ?? ""} ${sourcePort ?? ""}`;
      const before = grants.get(key);
      if (before !== undefined && before.remaining >= remaining) continue;
      grants.set(key, {
        service: set.service,
        source,
        prefix: set.prefix,
        sourcePort: sourcePort as Port | undefined,
        remaining,
      });
    }
  }
  return ok([...grants.values()]);
}

/** Sets in the kernel that are not among those of the plan. */
export function staleSets(store: GrantStore, keep: readonly GrantSet[]): Result<GrantSet[]> {
  const existing = store.sets();
  const names = new Set(keep.map(nameOf));
  return existing.ok ? ok(existing.value.filter((set) => !names.has(nameOf(set)))) : existing;
}
