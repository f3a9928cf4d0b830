import { type Address, maskAddress, Network } from "../shared/address.ts";
import { type DeviceId, type ServiceName, type UnixMillis, userOf } from "../shared/brand.ts";
import { seconds } from "../shared/brand.ts";
import { ok, type Result } from "../shared/result.ts";
import type { Firewall } from "./core/firewall.ts";
import type { Grant, Service } from "./core/grant.ts";
import { grantOf } from "./core/policy.ts";
import { keyOf, type Ledger, rowOf } from "./ledger.ts";
import type { GrantRow } from "./store/grant-store.ts";

/** The longest lifetime there is: more is left only where the clock was ahead. */
const MOST_SECONDS = 65_535;

/**
 * Who opened what: the kernel knows addresses alone. Entries go with their time, and end when their device or its user
 * says so; whoever else has the same address let in to the same service keeps it.
 */
export class OpenGrants {
  readonly #firewall: Firewall;
  readonly #ledger: Pick<Ledger, "opened" | "ended">;
  readonly #grants = new Map<string, Grant>();

  constructor(firewall: Firewall, ledger: Pick<Ledger, "opened" | "ended">) {
    this.#firewall = firewall;
    this.#ledger = ledger;
  }

  /** Takes up what was open before a restart, as far as the kernel still holds it. */
  restore(rows: readonly GrantRow[], services: readonly Service[], now: UnixMillis): Result<void> {
    const held = this.#firewall.list();
    if (!held.ok) return held;
    const open = new Set(
      held.value.map(({ service, source, prefix, sourcePort }) =>
        placeOf(service, source, prefix, sourcePort),
      ),
    );
    for (const row of rows) {
      const service = services.find(({ name }) => name === row.service);
      if (service === undefined || row.expiresAt <= now) continue;
      if (!open.has(placeOf(row.service, row.source, row.prefix, row.sourcePort))) continue;
      const grant = grantOf({ ...row, service, lifetime: secondsLeft(row, now) });
      this.#grants.set(keyOf(rowOf(grant)), grant);
    }
    return ok(undefined);
  }

  add(grant: Grant): void {
    const key = keyOf(rowOf(grant));
    const before = this.#grants.get(key);
    // The kernel never shortens a grant either.
    const kept = before !== undefined && before.expiresAt > grant.expiresAt ? before : grant;
    this.#grants.set(key, kept);
    this.#ledger.opened(kept);
  }

  /** The grants still open at `now`. */
  list(now: UnixMillis): Grant[] {
    return [...this.#grants.values()].filter((grant) => grant.expiresAt > now);
  }

  /** Ends what the device's user has open for an address and a service. What nobody is known to own ends as well. */
  close(device: DeviceId, service: ServiceName, source: Address, now: UnixMillis): Result<void> {
    const user = userOf(device);
    return this.#end(service, source, (grant) => userOf(grant.device) === user, now);
  }

  /** Ends everything that one device has open; gives what that was. */
  closeAll(device: DeviceId, now: UnixMillis): Result<Grant>[] {
    return this.endWhere((grant) => grant.device === device, now);
  }

  /** Ends the grants that are meant; gives which they were. */
  endWhere(isMeant: (grant: Grant) => boolean, now: UnixMillis): Result<Grant>[] {
    return this.list(now)
      .filter(isMeant)
      .map((grant) => {
        const ended = this.#end(grant.service.name, grant.source, isMeant, now);
        return ended.ok ? ok(grant) : ended;
      });
  }

  /** Forgets grants whose service is gone, and with it what the kernel held; gives which they were. */
  forget(isGone: (grant: Grant) => boolean, now: UnixMillis): Grant[] {
    const gone = this.list(now).filter(isGone);
    for (const grant of gone) {
      this.#grants.delete(keyOf(rowOf(grant)));
      this.#ledger.ended(grant);
    }
    return gone;
  }

  /** Takes out and gives the grants whose time is over. */
  takeOver(now: UnixMillis): Grant[] {
    const over = [...this.#grants.values()].filter((grant) => grant.expiresAt <= now);
    for (const grant of over) this.#grants.delete(keyOf(rowOf(grant)));
    return over;
  }

  #end(
    service: ServiceName,
    source: Address,
    isMeant: (grant: Grant) => boolean,
    now: UnixMillis,
  ): Result<void> {
    const all = this.list(now).filter((grant) => grant.service.name === service && letsIn(grant, source));
    if (all.length === 0) return this.#firewall.close(service, source);
    const others = all.filter((grant) => !isMeant(grant));
    for (const grant of all.filter(isMeant)) {
      const sharing = others.filter((other) => entryOf(other) === entryOf(grant));
      const ended = this.#endOne(grant, sharing, now);
      if (!ended.ok) return ended;
      this.#grants.delete(keyOf(rowOf(grant)));
      this.#ledger.ended(grant);
    }
    return ok(undefined);
  }

  /**
   * The kernel has one entry for all who opened the same. It is taken out, and put back for the rest of the others' time;
   * where it counts connections it stays, as nobody knows how many of them are whose.
   */
  #endOne(grant: Grant, sharing: readonly Grant[], now: UnixMillis): Result<void> {
    if (sharing.length > 0 && grant.connections > 0) return ok(undefined);
    const closed = this.#firewall.close(grant.service.name, grant.source, grant);
    if (!closed.ok) return closed;
    for (const other of sharing) {
      const again = this.#firewall.open(grantOf({ ...other, lifetime: secondsLeft(other, now) }));
      if (!again.ok) return again;
    }
    return ok(undefined);
  }
}

/** What the kernel holds for a grant: those of the same text share one entry. */
function entryOf({ service, source, prefix, sourcePort, connections }: Grant): string {
  return `${placeOf(service.name, source, prefix, sourcePort)} ${connections > 0}`;
}

/** Whether closing for this address ends what the kernel has for the grant. */
function letsIn({ source, prefix }: Grant, other: Address): boolean {
  return prefix === undefined ? source.equals(other) : new Network(source, prefix).contains(other);
}

/** What the kernel knows of a grant. */
function placeOf(
  service: ServiceName,
  source: Address,
  prefix: number | undefined,
  port: number | undefined,
): string {
  const key = prefix === undefined ? source : maskAddress(source, prefix);
  return `${service} ${key.text} ${prefix ?? ""} ${port ?? ""}`;
}

function secondsLeft({ expiresAt }: { readonly expiresAt: UnixMillis }, now: UnixMillis): Grant["lifetime"] {
  return seconds(Math.min(MOST_SECONDS, Math.max(1, Math.ceil((expiresAt - now) / 1000))));
}
