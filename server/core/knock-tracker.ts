import type { UnixMillis } from "../../shared/brand.ts";
import type { DeviceTable, Hit } from "./device-table.ts";
import { SourceTable } from "./source-table.ts";
import type { HashSeed } from "./tag-table.ts";

/** Knocks that are remembered for each source. */
const RECENT = 8;
/** Milliseconds after which a knock is forgotten. */
const MAX_AGE = 10_000;
const SOURCES = 65_536;

/**
 * Follows the knocks of each source address and tells when they complete a sequence.
 *
 * For each source the last 8 knocks are kept; the same port again at once (a SYN sent again) is the same knock. A
 * sequence is complete when its ports are, in order, among those at most 10 s old, and its last is the newest of all:
 * strays in between do no harm. Nobody is ever banned: a ban on what anybody can forge would lock the owner out.
 */
export class KnockTracker {
  readonly #devices: DeviceTable;
  readonly #sources: SourceTable;
  readonly #ports: Uint16Array;
  readonly #times: Float64Array;
  /** Knocks ever made by each source, which tells where its ring ends. */
  readonly #counts: Float64Array;
  readonly #recent = new Uint16Array(RECENT);

  /** `sources` is how many source addresses are remembered; the least recently seen goes first. */
  constructor(devices: DeviceTable, seed: HashSeed, sources = SOURCES) {
    this.#devices = devices;
    this.#sources = new SourceTable(seed, sources);
    this.#ports = new Uint16Array(sources * RECENT);
    this.#times = new Float64Array(sources * RECENT);
    this.#counts = new Float64Array(sources);
  }

  /**
   * One knock on `port` from the address whose 16 bytes (IPv4 as ::ffff:a.b.c.d) stand at `offset`. Gives whose sequence
   * it completes, if any; whether that was used before is not known here.
   */
  knock(bytes: Uint8Array, offset: number, port: number, now: UnixMillis): Hit | undefined {
    this.#devices.advance(now);
    const known = this.#sources.find(bytes, offset);
    const source = known >= 0 ? known : this.#sources.add(bytes, offset);
    if (known < 0) this.#counts[source] = 0;
    const count = this.#counts[source] ?? 0;
    if (count > 0 && this.#portAt(source, count - 1) === port && this.#isFresh(source, count - 1, now))
      return undefined;
    this.#ports[place(source, count)] = port;
    this.#times[place(source, count)] = now;
    this.#counts[source] = count + 1;
    return this.#devices.findKnock(this.#recent, this.#gather(source, count + 1, now));
  }

  /** Puts the fresh knocks of a source into `#recent`, oldest first, and gives how many they are. */
  #gather(source: number, count: number, now: UnixMillis): number {
    let fresh = 0;
    for (let knock = Math.max(0, count - RECENT); knock < count; knock++) {
      if (this.#isFresh(source, knock, now)) this.#recent[fresh++] = this.#portAt(source, knock);
    }
    return fresh;
  }

  #portAt(source: number, knock: number): number {
    return this.#ports[place(source, knock)] ?? 0;
  }

  /** A knock of the future is one from before the clock was set back. */
  #isFresh(source: number, knock: number, now: UnixMillis): boolean {
    const age = now - (this.#times[place(source, knock)] ?? 0);
    return age >= 0 && age <= MAX_AGE;
  }
}

function place(source: number, knock: number): number {
  return source * RECENT + (knock % RECENT);
}
