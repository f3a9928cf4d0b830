import type { UnixMillis } from "../../shared/brand.ts";
import type { DeviceTable, Hit } from "./device-table.ts";
import type { FrameView } from "./packet-source.ts";
import { SourceTable } from "./source-table.ts";
import { type HashSeed, wordAt } from "./tag-table.ts";

type Knock = Pick<FrameView, "bytes" | "family" | "sourceAt" | "destinationPort">;

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
  #devices: DeviceTable;
  readonly #sources: SourceTable;
  readonly #ports: Uint16Array;
  readonly #times: Float64Array;
  /** Knocks ever made by each source, which tells where its ring ends. */
  readonly #counts: Float64Array;
  readonly #address = new Uint32Array(4);
  readonly #recent = new Uint16Array(RECENT);

  /** `sources` is how many source addresses are remembered; the least recently seen goes first. */
  constructor(devices: DeviceTable, seed: HashSeed, sources = SOURCES) {
    this.#devices = devices;
    this.#sources = new SourceTable(seed, sources);
    this.#ports = new Uint16Array(sources * RECENT);
    this.#times = new Float64Array(sources * RECENT);
    this.#counts = new Float64Array(sources);
  }

  /** The table that sequences are looked up in from now on; knocks made so far still count. */
  set devices(devices: DeviceTable) {
    this.#devices = devices;
  }

  /** One knock. Gives whose sequence it completes, if any; whether that was used before is not known here. */
  knock(frame: Knock, now: UnixMillis): Hit | undefined {
    this.#devices.advance(now);
    const port = frame.destinationPort;
    const source = this.#sourceOf(frame);
    const count = this.#counts[source] ?? 0;
    if (count > 0 && this.#portAt(source, count - 1) === port && this.#isFresh(source, count - 1, now))
      return undefined;
    this.#ports[place(source, count)] = port;
    this.#times[place(source, count)] = now;
    this.#counts[source] = count + 1;
    return this.#devices.findKnock(this.#recent, this.#gather(source, count + 1, now));
  }

  /** The source's number; a new one's ring is empty. */
  #sourceOf({ bytes, family, sourceAt: at }: Knock): number {
    const address = this.#address;
    for (let word = 0; word < 4; word++) address[word] = family === 6 ? wordAt(bytes, at + 4 * word) : 0;
    if (family === 4) {
      address[2] = 0xffff;
      address[3] = wordAt(bytes, at);
    }
    const known = this.#sources.find(address);
    if (known >= 0) return known;
    const added = this.#sources.add(address);
    this.#counts[added] = 0;
    return added;
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
