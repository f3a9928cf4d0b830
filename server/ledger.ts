import type { Address } from "../shared/address.ts";
import type { DeviceId, UnixMillis } from "../shared/brand.ts";
import type { AuditEvent } from "./core/event.ts";
import type { Grant } from "./core/grant.ts";
import type { GrantRow, GrantStore } from "./store/grant-store.ts";

/** How long a note may wait to be written: one write a second, however busy it is. */
const DELAY = 1000;

/** Writes down who has what open and when devices were used, in one go now and then: never while a packet waits for it. */
export class Ledger {
  readonly #store: GrantStore;
  readonly #now: () => UnixMillis;
  readonly #emit: (event: AuditEvent) => void;
  readonly #opened = new Map<string, GrantRow>();
  readonly #ended = new Map<string, GrantRow>();
  readonly #used = new Map<
    DeviceId,
    { readonly id: DeviceId; readonly at: UnixMillis; readonly source: string }
  >();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: GrantStore, now: () => UnixMillis, emit: (event: AuditEvent) => void) {
    this.#store = store;
    this.#now = now;
    this.#emit = emit;
  }

  opened(grant: Grant): void {
    const row = rowOf(grant);
    const key = keyOf(row);
    this.#ended.delete(key);
    this.#opened.set(key, row);
    this.#soon();
  }

  ended(grant: Grant): void {
    const row = rowOf(grant);
    const key = keyOf(row);
    this.#opened.delete(key);
    this.#ended.set(key, row);
    this.#soon();
  }

  used(id: DeviceId, source: Address, at: UnixMillis): void {
    this.#used.set(id, { id, at, source: source.text });
    this.#soon();
  }

  /** Writes what waits to be written, if anything does. */
  flushWaiting(): void {
    if (this.#timer !== undefined) this.flush();
  }

  /** Writes what is left to write, now. Notes that cannot be written are kept for the next time. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const notes = { opened: this.#opened.values(), ended: this.#ended.values(), used: this.#used.values() };
    const noted = this.#store.note(notes, this.#now());
    if (!noted.ok) return this.#emit({ kind: "store-error", message: noted.error.message });
    this.#opened.clear();
    this.#ended.clear();
    this.#used.clear();
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => this.flush(), DELAY);
  }
}

/** What is written down of a grant. */
export function rowOf(grant: Grant): GrantRow {
  const { device, service, source, prefix, sourcePort, connections, expiresAt } = grant;
  return { device, service: service.name, source, prefix, sourcePort, connections, expiresAt };
}

/**
 * What tells grants of a device apart: a grant that counts connections, or is for a network, stands in the kernel beside
 * one that does not, and has a time of its own.
 */
export function keyOf({ device, service, source, prefix, sourcePort, connections }: GrantRow): string {
  return `${device} ${service} ${source.text} ${prefix ?? ""} ${sourcePort ?? ""} ${connections > 0}`;
}
