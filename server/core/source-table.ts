import type { HashSeed } from "./tag-table.ts";

const NONE = -1;
const WORDS = 4;
/** What HalfSipHash appends: the length in bytes, in the top byte of a word. */
const LENGTH = (WORDS * 4) << 24;

/**
 * Source addresses → small numbers, at most `capacity` of them; the least recently seen makes room for a new one.
 * All memory is taken at the start; nothing is allocated afterwards.
 *
 * Anybody can choose the keys here, so the hash is a keyed one that stands up to that.
 */
export class SourceTable {
  readonly #seed: HashSeed;
  readonly #capacity: number;
  readonly #mask: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  readonly #words: Uint32Array;
  /** Doubly linked by last use; the entry after the last is the sentinel. */
  readonly #older: Int32Array;
  readonly #newer: Int32Array;
  #size = 0;

  constructor(seed: HashSeed, capacity: number) {
    let buckets = 16;
    while (buckets < capacity) buckets *= 2;
    this.#seed = seed;
    this.#capacity = capacity;
    this.#mask = buckets - 1;
    this.#heads = new Int32Array(buckets).fill(NONE);
    this.#next = new Int32Array(capacity);
    this.#words = new Uint32Array(capacity * WORDS);
    this.#older = new Int32Array(capacity + 1).fill(capacity);
    this.#newer = new Int32Array(capacity + 1).fill(capacity);
  }

  get size(): number {
    return this.#size;
  }

  /** The number of the address in four words, which becomes the most recently seen; -1 where it is unknown. */
  find(address: Uint32Array): number {
    for (let entry = this.#heads[this.#bucketOf(address)] ?? NONE; entry !== NONE; ) {
      if (this.#holds(entry, address)) {
        this.#unlink(entry);
        this.#linkNewest(entry);
        return entry;
      }
      entry = this.#next[entry] ?? NONE;
    }
    return NONE;
  }

  /** Adds an address that is unknown and gives its number, 0 to capacity-1: a new one, or that of the one that had to go. */
  add(address: Uint32Array): number {
    const entry = this.#size < this.#capacity ? this.#size++ : this.#evictOldest();
    this.#words.set(address, entry * WORDS);
    const bucket = this.#bucketOf(address);
    this.#next[entry] = this.#heads[bucket] ?? NONE;
    this.#heads[bucket] = entry;
    this.#linkNewest(entry);
    return entry;
  }

  #holds(entry: number, address: Uint32Array): boolean {
    for (let word = 0; word < WORDS; word++) {
      if (this.#words[entry * WORDS + word] !== address[word]) return false;
    }
    return true;
  }

  #evictOldest(): number {
    const entry = this.#newer[this.#capacity] ?? 0;
    this.#unlink(entry);
    const bucket = halfSipHash(this.#seed, this.#words, entry * WORDS) & this.#mask;
    const after = this.#next[entry] ?? NONE;
    if (this.#heads[bucket] === entry) {
      this.#heads[bucket] = after;
    } else {
      let before = this.#heads[bucket] ?? NONE;
      while (this.#next[before] !== entry) before = this.#next[before] ?? NONE;
      this.#next[before] = after;
    }
    return entry;
  }

  #unlink(entry: number): void {
    const older = this.#older[entry] ?? 0;
    const newer = this.#newer[entry] ?? 0;
    this.#newer[older] = newer;
    this.#older[newer] = older;
  }

  #linkNewest(entry: number): void {
    const sentinel = this.#capacity;
    const newest = this.#older[sentinel] ?? sentinel;
    this.#older[entry] = newest;
    this.#newer[entry] = sentinel;
    this.#newer[newest] = entry;
    this.#older[sentinel] = entry;
  }

  #bucketOf(address: Uint32Array): number {
    return halfSipHash(this.#seed, address) & this.#mask;
  }
}

/** HalfSipHash-1-3 (as in the kernel's lib/siphash.c) of the four words at `at`. Without the key nobody can make it collide. */
export function halfSipHash(key: HashSeed, words: Uint32Array, at = 0): number {
  let v0 = key[0] | 0;
  let v1 = key[1] | 0;
  let v2 = 0x6c796765 ^ key[0];
  let v3 = 0x74656462 ^ key[1];
  for (let block = 0; block < WORDS + 4; block++) {
    const word = block < WORDS ? (words[at + block] ?? 0) : block === WORDS ? LENGTH : 0;
    if (block === WORDS + 1) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}
