import type { TimeStep } from "../../shared/brand.ts";
import { TAG_BYTES } from "../../shared/constants.ts";
import { info, LABEL_BYTES } from "../../shared/key-schedule.ts";
import { type KnockShape, knockSequence } from "../../shared/knock-sequence.ts";
import { stepStart } from "../../shared/time-step.ts";
import type { DeviceKeys, OwnedKey } from "./device-keys.ts";
import type { KeyArena } from "./key-arena.ts";
import { KnockTable } from "./knock-table.ts";
import { type HashSeed, TagTable, wordAt } from "./tag-table.ts";

/** Room for the keys of one device in an owner number: `current`, `next` and retired ones. */
export const KEYS_PER_DEVICE = 32;

/** The tables of one step, empty. */
export interface StepTables {
  readonly tags: TagTable;
  /** Undefined where nobody knocks. */
  readonly knocks: KnockTable | undefined;
}

/** Makes room for so many devices and sequences. */
export function makeTables(
  seed: HashSeed,
  shape: KnockShape | undefined,
  room: { readonly devices: number; readonly knocks: number },
): StepTables {
  return {
    tags: new TagTable(seed, room.devices),
    knocks: shape && new KnockTable(seed, shape.length, room.knocks),
  };
}

/**
 * The tags and knock sequences of one time step. Devices are indexed in the order of their numbers, some at a time,
 * so that a step can be made ready while the one before it still lasts.
 */
export class StepIndex {
  readonly step: TimeStep;
  readonly tags: TagTable;
  readonly knocks: KnockTable | undefined;
  readonly #shape: KnockShape | undefined;
  readonly #arena: KeyArena;
  readonly #tagInfo: Uint8Array;
  readonly #knockInfo: Uint8Array;
  readonly #tag = new Uint8Array(TAG_BYTES);
  readonly #words = new Uint8Array(LABEL_BYTES.knock);
  /** Devices with a lower number are in the index. */
  filled = 0;

  /** Without `shape` there are no knock sequences. */
  constructor(step: TimeStep, shape: KnockShape | undefined, arena: KeyArena, { tags, knocks }: StepTables) {
    this.step = step;
    this.tags = tags;
    this.knocks = knocks;
    this.#shape = shape;
    this.#arena = arena;
    this.#tagInfo = info("tag", step);
    this.#knockInfo = info("knock", step);
  }

  /** Adds the tags and sequences of devices; gives the tags, 8 bytes each. */
  add(devices: readonly (DeviceKeys | undefined)[]): Uint8Array {
    const most = devices.reduce((sum, keys) => sum + (keys?.list.length ?? 0), 0);
    const tags = new Uint8Array(most * TAG_BYTES);
    let end = 0;
    for (const keys of devices) {
      for (let index = 0; index < (keys?.list.length ?? 0); index++) {
        const key = keys?.list[index];
        if (key === undefined || !this.#isLive(key)) continue;
        const owner = ownerOf(keys?.number ?? 0, index);
        const tag = this.#tagOf(key);
        this.tags.add(wordAt(tag, 0), wordAt(tag, 4), owner);
        tags.set(tag, end);
        end += TAG_BYTES;
        if (this.#shape !== undefined && key.mayKnock)
          this.knocks?.add(owner, this.#sequenceOf(key, this.#shape));
      }
    }
    return tags.subarray(0, end);
  }

  /** Removes what `add` of the same keys added; gives the tags, 8 bytes each. */
  remove(keys: DeviceKeys): Uint8Array {
    const tags: number[] = [];
    for (const [index, key] of keys.list.entries()) {
      if (!this.#isLive(key)) continue;
      const owner = ownerOf(keys.number, index);
      const tag = this.#tagOf(key);
      this.tags.remove(wordAt(tag, 0), wordAt(tag, 4), owner);
      tags.push(...tag);
      if (this.#shape !== undefined && key.mayKnock)
        this.knocks?.remove(owner, this.#sequenceOf(key, this.#shape));
    }
    return Uint8Array.from(tags);
  }

  #isLive(key: OwnedKey): boolean {
    return key.until > stepStart(this.step);
  }

  /** Good until the next call. */
  #tagOf(key: OwnedKey): Uint8Array {
    this.#arena.expand(key.place, this.#tagInfo, this.#tag);
    return this.#tag;
  }

  #sequenceOf(key: OwnedKey, shape: KnockShape): number[] {
    return knockSequence(shape, (block) => {
      const knockInfo = block === 0 ? this.#knockInfo : info("knock", this.step, block);
      this.#arena.expand(key.place, knockInfo, this.#words);
      return this.#words;
    });
  }
}

function ownerOf(number: number, index: number): number {
  return number * KEYS_PER_DEVICE + index + 1;
}
