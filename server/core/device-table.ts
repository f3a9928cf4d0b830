import { type DeviceId, type TimeStep, timeStep, type UnixMillis } from "../../shared/brand.ts";
import { STEP_MILLIS, TAG_BYTES } from "../../shared/constants.ts";
import { Extractor, type KeySchedule } from "../../shared/key-schedule.ts";
import type { KnockShape } from "../../shared/knock-sequence.ts";
import { type Skew, skewWindow, stepAt, stepStart } from "../../shared/time-step.ts";
import type { Device, Slot } from "./device.ts";
import { type DeviceKeys, keysOf, releaseKeys, sameKeys } from "./device-keys.ts";
import { KeyArena } from "./key-arena.ts";
import type { TagFilter } from "./packet-source.ts";
import { KEYS_PER_DEVICE, makeTables, StepIndex, type StepTables } from "./step-index.ts";
import { type HashSeed, wordAt } from "./tag-table.ts";

/** Whose key made a tag or a knock sequence, and of which step. */
export interface Hit {
  readonly device: Device;
  readonly slot: Slot;
  readonly step: TimeStep;
  readonly schedule: KeySchedule;
}

export interface DeviceTableOptions {
  readonly serverId: Uint8Array;
  readonly skew: Skew;
  /** Undefined = nobody may knock. */
  readonly knock: KnockShape | undefined;
  readonly seed: HashSeed;
  /** Told which tags packets may carry from now on, and which no longer. */
  readonly feed?: Pick<TagFilter, "add" | "remove">;
}

const NO_FEED = { add: () => undefined, remove: () => undefined };

/**
 * Every device, and the tags and knock sequences that they have in the steps of the skew window.
 *
 * `advance` follows the clock, wherever it goes, and costs little; `work` derives what is missing, the current step
 * first and the coming one last, as much at a time as the caller can spare. Until a device is derived its packets are
 * unknown.
 */
export class DeviceTable {
  readonly #options: DeviceTableOptions;
  readonly #feed: Pick<TagFilter, "add" | "remove">;
  readonly #byId = new Map<DeviceId, number>();
  readonly #arena: KeyArena;
  readonly #keys: (DeviceKeys | undefined)[] = [];
  readonly #free: number[] = [];
  /** The steps of the window, the current one first. */
  #window: StepIndex[] = [];
  /** The step that enters the window next. */
  #coming: StepIndex | undefined;
  /** Steps that have left, of whose tags the feed is yet to be told: those from place `from` on. */
  #leaving: { readonly tables: StepTables; from: number }[] = [];
  /**
   * The emptied tables of a step that is gone, for the next one. New ones would be megabytes of memory at once, which the kernel
   * gives page by page: the packet that comes meanwhile would wait for all of it.
   */
  #spare: StepTables | undefined;
  #from = 0;
  #to = 0;

  constructor(options: DeviceTableOptions) {
    this.#options = options;
    this.#feed = options.feed ?? NO_FEED;
    this.#arena = new KeyArena(new Extractor(options.serverId));
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Tags that packets may carry, now or in the step to come. */
  get tags(): number {
    return this.#indexes().reduce((sum, { tags }) => sum + tags.size, 0);
  }

  /** Adds a device, or replaces the one of the same id. In effect at once in every step that is derived already. */
  put(device: Device, mayKnock: boolean): void {
    const known = this.#byId.get(device.id);
    const number = known ?? this.#free.pop() ?? this.#keys.length;
    const before = this.#keys[number];
    const after = keysOf(number, device, mayKnock, this.#arena, before);
    this.#keys[number] = after;
    this.#byId.set(device.id, number);
    if (before !== undefined && sameKeys(before, after)) return;
    for (const index of this.#indexes()) {
      // A number that is yet to be filled comes with the others; the next one in line, such as a new device's, comes now.
      if (number > index.filled) continue;
      if (number === index.filled) index.filled++;
      else if (before !== undefined) this.#feed.remove(index.remove(before));
      this.#feed.add(index.add([after]));
    }
    if (before !== undefined) releaseKeys(this.#arena, before, after);
  }

  /** Forgets a device at once; false where there is none of this id. */
  remove(id: DeviceId): boolean {
    const number = this.#byId.get(id);
    const keys = number === undefined ? undefined : this.#keys[number];
    if (number === undefined || keys === undefined) return false;
    for (const index of this.#indexes()) {
      if (number < index.filled) this.#feed.remove(index.remove(keys));
    }
    releaseKeys(this.#arena, keys);
    this.#keys[number] = undefined;
    this.#byId.delete(id);
    this.#free.push(number);
    return true;
  }

  get(id: DeviceId): Device | undefined {
    const number = this.#byId.get(id);
    return number === undefined ? undefined : this.#keys[number]?.device;
  }

  /** Every device, in no order. */
  *devices(): Generator<Device> {
    for (const keys of this.#keys) if (keys !== undefined) yield keys.device;
  }

  /** Moves the window to `now`. Steps that leave it are unknown from here on; steps that enter it need `work`. */
  advance(now: UnixMillis): void {
    if (now >= this.#from && now < this.#to) return;
    const current = stepAt(now);
    this.#from = stepStart(current);
    this.#to = this.#from + STEP_MILLIS;
    // A step that is still leaving may be about to enter again.
    this.#leave(Number.POSITIVE_INFINITY);
    const { skew } = this.#options;
    const before = new Map(this.#indexes().map((index) => [index.step, index]));
    const take = (step: TimeStep): StepIndex => {
      const index = before.get(step) ?? this.#makeIndex(step);
      before.delete(step);
      return index;
    };
    const steps = skewWindow(now, skew).sort((a, b) => Math.abs(a - current) - Math.abs(b - current));
    this.#window = steps.map(take);
    this.#coming = take(timeStep(current + skew.future + 1));
    if (this.#feed === NO_FEED) return;
    this.#leaving = [...before.values()].map((tables) => ({ tables, from: 0 }));
  }

  /**
   * Does a part of what `advance` left to do: derives at most `budget` devices of one step each, and tells the feed of at
   * most as many tags that are gone. Gives how much is left.
   */
  work(budget: number): number {
    let left = 0;
    let spare = budget;
    for (const index of this.#indexes()) {
      const from = index.filled;
      this.#fill(index, spare);
      spare -= index.filled - from;
      left += this.#keys.length - index.filled;
    }
    left += this.#leave(budget);
    // The first step that enters finds its tables too, and one that more devices need bigger ones for.
    if (left === 0 && this.#feed !== NO_FEED && !this.#fits(this.#spare)) this.#spare = this.#makeTables();
    return left;
  }

  /** Whose tag the 8 bytes at `offset` are, in the window last moved to; a miss allocates nothing. */
  findTag(bytes: Uint8Array, offset: number): Hit | undefined {
    const high = wordAt(bytes, offset);
    const low = wordAt(bytes, offset + 4);
    for (const index of this.#window) {
      const owner = index.tags.find(high, low);
      if (owner !== 0) return this.#hit(owner, index.step);
    }
    return undefined;
  }

  /** Whose sequence the first `count` ports of `recent` (oldest first) complete; a miss allocates nothing. */
  findKnock(recent: Uint16Array, count: number): Hit | undefined {
    for (const index of this.#window) {
      const owner = index.knocks?.match(recent, count) ?? 0;
      if (owner !== 0) return this.#hit(owner, index.step);
    }
    return undefined;
  }

  /** Every tag that the feed was told of, 8 bytes each, for a feed that starts anew. */
  packTags(): Uint8Array {
    return join(this.#indexes().map(({ tags }) => tags.pack()));
  }

  #hit(owner: number, step: TimeStep): Hit | undefined {
    const keys = this.#keys[Math.floor((owner - 1) / KEYS_PER_DEVICE)];
    const key = keys?.list[(owner - 1) % KEYS_PER_DEVICE];
    return (
      keys &&
      key && { device: keys.device, slot: key.slot, step, schedule: key.schedule(this.#options.serverId) }
    );
  }

  #fill(index: StepIndex, budget: number): void {
    const end = Math.min(this.#keys.length, index.filled + budget);
    if (end === index.filled) return;
    const tags = index.add(this.#keys.slice(index.filled, end));
    index.filled = end;
    if (tags.length > 0) this.#feed.add(tags);
  }

  /** Takes at most `budget` tags of left steps out of the feed; gives how many stay. */
  #leave(budget: number): number {
    let spare = budget;
    for (let last = this.#leaving.at(-1); last !== undefined && spare > 0; last = this.#leaving.at(-1)) {
      const { tags, next } = last.tables.tags.takeSome(last.from, spare);
      if (tags.length > 0) this.#feed.remove(tags);
      spare -= tags.length / TAG_BYTES;
      last.from = next;
      if (last.tables.tags.size > 0) continue;
      last.tables.knocks?.clear();
      this.#spare = last.tables;
      this.#leaving.pop();
    }
    return this.#leaving.reduce((sum, { tables }) => sum + tables.tags.size, 0);
  }

  #indexes(): StepIndex[] {
    return this.#coming === undefined ? this.#window : [...this.#window, this.#coming];
  }

  #makeIndex(step: TimeStep): StepIndex {
    const { knock } = this.#options;
    const spare = this.#spare;
    this.#spare = undefined;
    return new StepIndex(step, knock, this.#arena, this.#fits(spare) ? spare : this.#makeTables());
  }

  #fits(tables: StepTables | undefined): tables is StepTables {
    return tables?.tags.hasRoomFor(this.#keys.length) === true;
  }

  #makeTables(): StepTables {
    const { seed, knock } = this.#options;
    const knocks = this.#window[0]?.knocks?.size ?? 0;
    return makeTables(seed, knock, { devices: this.#keys.length, knocks });
  }
}

/** As concat of shared/bytes.ts, for any number of parts. */
function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
