/** Two 32-bit numbers that nobody outside knows, so that nobody can choose keys that collide. */
export type HashSeed = readonly [number, number];

const WORDS = 3;
const MIN_CAPACITY = 16;

/**
 * Tags of 8 bytes → numbers, for one time step. A look-up allocates nothing and touches one or two cache lines,
 * however many tags there are.
 *
 * Open addressing with linear probing; at most half full. Entries are three words: the tag's two halves, and the
 * value, where 0 marks an empty place. Removal shifts back what follows, so that no tombstones gather.
 */
export class TagTable {
  readonly #seed: HashSeed;
  #words: Uint32Array;
  #mask: number;
  #size = 0;

  /** Room for `expected` tags is made at once; more can be added. */
  constructor(seed: HashSeed, expected = 0) {
    this.#seed = seed;
    const capacity = capacityFor(expected);
    this.#words = new Uint32Array(capacity * WORDS);
    // Touched now, or the kernel would give each page at the first tag that falls into it.
    this.#words.fill(0);
    this.#mask = capacity - 1;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether there is room for so many tags without growing. */
  hasRoomFor(expected: number): boolean {
    return capacityFor(expected) <= this.#mask + 1;
  }

  /** The value of the tag whose first and last 4 bytes, big-endian, are `high` and `low`; 0 where there is none. */
  find(high: number, low: number): number {
    const words = this.#words;
    for (let place = this.#home(high, low); ; place = (place + 1) & this.#mask) {
      const at = place * WORDS;
      const value = words[at + 2] ?? 0;
      if (value === 0 || (words[at] === high && words[at + 1] === low)) return value;
    }
  }

  /** Adds a tag with a value of 1 to 2^32-1. False, and nothing added, where the tag is there already. */
  add(high: number, low: number, value: number): boolean {
    if (this.find(high, low) !== 0) return false;
    if (this.#size >= (this.#mask + 1) / 2) this.#grow();
    this.#insert(high, low, value);
    this.#size++;
    return true;
  }

  /** Removes a tag, if it is there with this value; false otherwise. */
  remove(high: number, low: number, value: number): boolean {
    if (value === 0 || this.find(high, low) !== value) return false;
    const words = this.#words;
    let hole = this.#home(high, low);
    while (words[hole * WORDS] !== high || words[hole * WORDS + 1] !== low) hole = (hole + 1) & this.#mask;
    for (
      let place = (hole + 1) & this.#mask;
      words[place * WORDS + 2] !== 0;
      place = (place + 1) & this.#mask
    ) {
      const at = place * WORDS;
      const home = this.#home(words[at] ?? 0, words[at + 1] ?? 0);
      const reachesHole = ((place - home) & this.#mask) >= ((place - hole) & this.#mask);
      if (!reachesHole) continue;
      words.copyWithin(hole * WORDS, at, at + WORDS);
      hole = place;
    }
    words.fill(0, hole * WORDS, hole * WORDS + WORDS);
    this.#size--;
    return true;
  }

  /** Every tag, 8 bytes each, in no order. */
  pack(): Uint8Array {
    return this.#pack(0, this.#size, false).tags;
  }

  /**
   * Takes out at most `most` tags, from place `from` on, and gives them, 8 bytes each, with the place to go on at: 0 begins. In between
   * nothing may be looked up, added or removed: what is left may not be found.
   */
  takeSome(from: number, most: number): { readonly tags: Uint8Array; readonly next: number } {
    const taken = this.#pack(from, most, true);
    this.#size -= taken.tags.length / 8;
    return taken;
  }

  #pack(from: number, most: number, empties: boolean): { readonly tags: Uint8Array; readonly next: number } {
    const tags = new Uint8Array(Math.min(most, this.#size) * 8);
    const view = new DataView(tags.buffer);
    let offset = 0;
    let next = from;
    for (; next <= this.#mask && offset < tags.length; next++) {
      const at = next * WORDS;
      if (this.#words[at + 2] === 0) continue;
      view.setUint32(offset, this.#words[at] ?? 0);
      view.setUint32(offset + 4, this.#words[at + 1] ?? 0);
      if (empties) this.#words.fill(0, at, at + WORDS);
      offset += 8;
    }
    return { tags: tags.subarray(0, offset), next };
  }

  #insert(high: number, low: number, value: number): void {
    const words = this.#words;
    let place = this.#home(high, low);
    while (words[place * WORDS + 2] !== 0) place = (place + 1) & this.#mask;
    words[place * WORDS] = high;
    words[place * WORDS + 1] = low;
    words[place * WORDS + 2] = value;
  }

  #grow(): void {
    const old = this.#words;
    this.#mask = this.#mask * 2 + 1;
    this.#words = new Uint32Array((this.#mask + 1) * WORDS);
    for (let at = 0; at < old.length; at += WORDS) {
      const value = old[at + 2] ?? 0;
      if (value !== 0) this.#insert(old[at] ?? 0, old[at + 1] ?? 0, value);
    }
  }

  #home(high: number, low: number): number {
    return mix(high ^ this.#seed[0], low ^ this.#seed[1]) & this.#mask;
  }
}

/** Two words into one, so that each bit of either changes about half of the result's (after MurmurHash3's finaliser). */
export function mix(a: number, b: number): number {
  let hash = Math.imul(a ^ (a >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13) ^ b, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** 4 bytes at an offset, big-endian, as a number of 0 to 2^32-1. */
export function wordAt(bytes: Uint8Array, offset: number): number {
  return (
    (((bytes[offset] ?? 0) << 24) |
      ((bytes[offset + 1] ?? 0) << 16) |
      ((bytes[offset + 2] ?? 0) << 8) |
      (bytes[offset + 3] ?? 0)) >>>
    0
  );
}

/** The smallest power of two that is at most half full. */
function capacityFor(expected: number): number {
  let capacity = MIN_CAPACITY;
  while (capacity < expected * 2) capacity *= 2;
  return capacity;
}
