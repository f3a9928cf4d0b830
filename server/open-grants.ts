import { type Address, maskAddress, Network } from "../shared/address.ts";
import { type DeviceId, type ServiceName, type UnixMillis, userOf } from "../shared/brand.ts";
import { seconds } from "../shared/brand.ts";
import { ok, type Result } from "../shared/result.ts";
import type { Entry, Firewall } from "./core/firewall.ts";
import type { Grant, Service } from "./core/grant.ts";
import { grantOf } from "./core/policy.ts";
import { keyOf, type Ledger, rowOf } from "./ledger.ts";
import type { GrantRow } from "./store/grant-store.ts";

/**
 * Who opened what: the kernel knows addresses alone. Entries go with their time, and end when their device or its user
 * says so; whoever else has the same address let in to the same service keeps it.
 */
export class OpenGrants {
  readonly #firewall: Firewall;
  readonly #ledger: Pick<Ledger, "opened" | "ended">;
  readonly #clock: () => number;
  readonly #opened: () => void;
  readonly #open = new Map<string, Open>();
  /** What the kernel held at the start and nobody had written down: a crash costs the notes of the last second. */
  #unowned: readonly Entry[] = [];

  /** `clock` goes on evenly, in ms, as the kernel's does: that of the day may be set. `opened` is called when there is something open. */
  constructor(
    firewall: Firewall,
    ledger: Pick<Ledger, "opened" | "ended">,
    clock: () => number,
    opened: () => void = () => undefined,
  ) {
    this.#firewall = firewall;
    this.#ledger = ledger;
    this.#clock = clock;
    this.#opened = opened;
  }

  /** How many there are, those included whose time is over and that were not taken out yet. */
  get size(): number {
    return this.#open.size;
  }

  /** Takes up what was open before a restart, as far as the kernel still holds it. */
  restore(rows: readonly GrantRow[], services: readonly Service[], now: UnixMillis): Result<void> {
    const held = this.#firewall.list();
    if (!held.ok) return held;
    const entries = held.value.flatMap((each) => {
      const service = services.find(({ name }) => name === each.service);
      return service === undefined ? [] : [{ ...each, service, connections: 0 }];
    });
    const places = new Map(entries.map((entry) => [placeOf(entry), entry]));
    const owned = new Set<string>();
    const longestFirst = [...rows].sort((a, b) => b.expiresAt - a.expiresAt);
    for (const row of longestFirst) {
      const service = services.find(({ name }) => name === row.service);
      if (service === undefined || row.expiresAt <= now) continue;
      const place = placeOf({ ...row, service });
      const entry = places.get(place);
      if (entry === undefined) {
        // A note that is left would pass for the owner of what somebody opens there later.
        this.#ledger.ended(grantOf({ ...row, service, lifetime: secondsOf(0) }));
        continue;
      }
      // The clock may have been set since: whose grant lasts longest has what the kernel gives, and nobody has more.
      const left = owned.has(place) ? Math.min(row.expiresAt - now, entry.remaining) : entry.remaining;
      const grant = grantOf({ ...row, service, lifetime: secondsOf(left) });
      this.#open.set(keyOf(rowOf(grant)), { grant, deadline: this.#clock() + left });
      owned.add(place);
    }
    this.#unowned = entries.filter((entry) => !owned.has(placeOf(entry)));
    if (this.size > 0) this.#opened();
    return ok(undefined);
  }

  add(grant: Grant): void {
    const key = keyOf(rowOf(grant));
    const before = this.#open.get(key);
    const open = { grant, deadline: this.#clock() + grant.lifetime * 1000 };
    // The kernel never shortens a grant either.
    const kept = before !== undefined && before.deadline > open.deadline ? before : open;
    this.#open.set(key, kept);
    this.#ledger.opened(kept.grant);
    this.#opened();
  }

  /** The grants still open. */
  list(): Grant[] {
    return this.#alive().map(({ grant }) => grant);
  }

  /** Ends what the device's user has open for an address and a service. What nobody is known to own ends as well. */
  close(device: DeviceId, service: ServiceName, source: Address): Result<void> {
    const user = userOf(device);
    const ended = this.#end(service, source, (grant) => userOf(grant.device) === user);
    return ended.ok ? this.#endUnowned(service, source) : ended;
  }

  /** Ends everything that one device has open; gives what that was. */
  closeAll(device: DeviceId): Result<Grant>[] {
    return this.endWhere((grant) => grant.device === device);
  }

  /** Ends the grants that are meant; gives which they were. */
  endWhere(isMeant: (grant: Grant) => boolean): Result<Grant>[] {
    return this.list()
      .filter(isMeant)
      .map((grant) => {
        const ended = this.#end(grant.service.name, grant.source, isMeant);
        return ended.ok ? ok(grant) : ended;
      });
  }

  /** Forgets grants whose service is gone, and with it what the kernel held; gives which they were. */
  forget(isGone: (grant: Grant) => boolean): Grant[] {
    const gone = this.list().filter(isGone);
    for (const grant of gone) this.#forget(grant);
    return gone;
  }

  /** Takes out and gives the grants whose time is over. */
  takeOver(now: UnixMillis): Grant[] {
    const over = [...this.#open.values()].filter(({ deadline }) => deadline <= this.#clock());
    for (const { grant } of over) {
      // Notes go by the clock of the day: where that was set back they would outlive the grant.
      if (grant.expiresAt > now) this.#forget(grant);
      else this.#open.delete(keyOf(rowOf(grant)));
    }
    return over.map(({ grant }) => grant);
  }

  #alive(): Open[] {
    return [...this.#open.values()].filter(({ deadline }) => deadline > this.#clock());
  }

  #forget(grant: Grant): void {
    this.#open.delete(keyOf(rowOf(grant)));
    this.#ledger.ended(grant);
  }

  #end(service: ServiceName, source: Address, isMeant: (grant: Grant) => boolean): Result<void> {
    const all = this.#alive().filter(({ grant }) => grant.service.name === service && letsIn(grant, source));
    if (all.length === 0) return this.#firewall.close(service, source);
    const others = all.filter(({ grant }) => !isMeant(grant));
    for (const { grant } of all.filter((each) => isMeant(each.grant))) {
      const sharing = others.filter((other) => entryOf(other.grant) === entryOf(grant));
      const ended = this.#endOne(grant, sharing);
      if (!ended.ok) return ended;
      this.#forget(grant);
    }
    return ok(undefined);
  }

  /**
   * The kernel has one entry for all who opened the same. It is taken out, and put back for the rest of the others' time;
   * where it counts connections it stays, as nobody knows how many of them are whose.
   */
  #endOne(grant: Grant, sharing: readonly Open[]): Result<void> {
    if (sharing.length > 0 && grant.connections > 0) return ok(undefined);
    const closed = this.#firewall.close(grant.service.name, grant.source, grant);
    if (!closed.ok) return closed;
    for (const { grant: other, deadline } of sharing) {
      const again = this.#firewall.open(grantOf({ ...other, lifetime: secondsOf(deadline - this.#clock()) }));
      if (!again.ok) return again;
    }
    return ok(undefined);
  }

  /** What has an owner by now is left alone. */
  #endUnowned(service: ServiceName, source: Address): Result<void> {
    if (this.#unowned.length === 0) return ok(undefined);
    const owned = new Set(this.list().map(placeOf));
    const isMeant = (entry: Entry): boolean => entry.service.name === service && letsIn(entry, source);
    for (const entry of this.#unowned.filter(isMeant)) {
      if (owned.has(placeOf(entry))) continue;
      // Whether it counts connections is not known.
      for (const connections of [0, 1]) {
        const closed = this.#firewall.close(service, entry.source, { ...entry, connections });
        if (!closed.ok) return closed;
      }
    }
    this.#unowned = this.#unowned.filter((entry) => !isMeant(entry));
    return ok(undefined);
  }
}

/** A grant, and when it is over by the clock that goes on evenly. */
interface Open {
  readonly grant: Grant;
  readonly deadline: number;
}

/** What the kernel holds for a grant: those of the same text share one entry. */
function entryOf(grant: Grant): string {
  return `${placeOf(grant)} ${grant.connections > 0}`;
}

/** Whether closing for this address ends what the kernel has for the grant. */
function letsIn({ source, prefix }: Pick<Grant, "source" | "prefix">, other: Address): boolean {
  return prefix === undefined ? source.equals(other) : new Network(source, prefix).contains(other);
}

/** What the kernel knows of a grant. */
function placeOf({ service, source, prefix, sourcePort }: Omit<Entry, "connections">): string {
  const key = prefix === undefined ? source : maskAddress(source, prefix);
  return `${service.name} ${key.text} ${prefix ?? ""} ${sourcePort ?? ""}`;
}

function secondsOf(millis: number): Grant["lifetime"] {
  return seconds(Math.max(1, Math.ceil(millis / 1000)));
}
