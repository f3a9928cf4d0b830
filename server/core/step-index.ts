import type { TimeStep } from "../../shared/brand.ts";
import { TAG_BYTES } from "../../shared/constants.ts";
import { type KnockShape, knockSequence } from "../../shared/knock-sequence.ts";
import { stepStart } from "../../shared/time-step.ts";
import type { DeviceKeys, OwnedKey } from "./device-keys.ts";
import { KnockTable } from "./knock-table.ts";
import { type HashSeed, TagTable, wordAt } from "./tag-table.ts";

/** Room for the keys of one device in an owner number: `current`, `next` and retired ones. */
export const KEYS_PER_DEVICE = 32;

/**
 * The tags and knock sequences of one time step. Devices are indexed in the order of their numbers, some at a time,
 * so that a step can be made ready while the one before it still lasts.
 */
export class StepIndex {
  readonly step: TimeStep;
  readonly tags: TagTable;
  readonly knocks: KnockTable | undefined;
  readonly #shape: KnockShape | undefined;
  /** Devices with a lower number are in the index. */
  filled = 0;

  /** Room for `expected` devices is made at once; without `shape` there are no knock sequences. */
  constructor(step: TimeStep, seed: HashSeed, shape: KnockShape | undefined, expected: number) {
    this.step = step;
    this.tags = new TagTable(seed, expected);
    this.knocks = shape && new KnockTable(seed, shape.length, 0);
    this.#shape = shape;
  }

  /** Adds a device's tags and sequences; gives the tags, 8 bytes each. */
  add(keys: DeviceKeys): Uint8Array {
    return this.#each(
      keys,
      (tag, owner) => {
        this.tags.add(wordAt(tag, 0), wordAt(tag, 4), owner);
      },
      (ports, owner) => this.knocks?.add(owner, ports),
    );
  }

  /** Removes what `add` of the same keys added; gives the tags, 8 bytes each. */
  remove(keys: DeviceKeys): Uint8Array {
    return this.#each(
      keys,
      (tag, owner) => {
        this.tags.remove(wordAt(tag, 0), wordAt(tag, 4), owner);
      },
      (ports, owner) => this.knocks?.remove(owner, ports),
    );
  }

  #each(
    keys: DeviceKeys,
    onTag: (tag: Uint8Array, owner: number) => void,
    onSequence: (ports: readonly number[], owner: number) => void,
  ): Uint8Array {
    const live = keys.list.filter((key) => key.until > stepStart(this.step));
    const tags = new Uint8Array(live.length * TAG_BYTES);
    for (const [index, key] of live.entries()) {
      const owner = ownerOf(keys.number, key);
      const tag = key.schedule().tag(this.step);
      tags.set(tag, index * TAG_BYTES);
      onTag(tag, owner);
      if (this.#shape !== undefined && key.mayKnock)
        onSequence(sequenceOf(key, this.step, this.#shape), owner);
    }
    return tags;
  }
}

function ownerOf(number: number, key: OwnedKey): number {
  return number * KEYS_PER_DEVICE + key.index + 1;
}

function sequenceOf(key: OwnedKey, step: TimeStep, shape: KnockShape): number[] {
  return knockSequence(shape, (block) => key.schedule().derive("knock", step, block));
}
