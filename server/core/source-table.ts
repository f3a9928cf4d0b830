import { type HashSeed, wordAt } from "./tag-table.ts";

const NONE = -1;
const WORDS = 4;

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

  /** The number of the 16-byte address at `offset`, which becomes the most recently seen; -1 where it is unknown. */
  find(bytes: Uint8Array, offset: number): number {
    for (let entry = this.#heads[this.#bucketOf(bytes, offset)] ?? NONE; entry !== NONE; ) {
      if (this.#holds(entry, bytes, offset)) {
        this.#unlink(entry);
        this.#linkNewest(entry);
        return entry;
      }
      entry = this.#next[entry] ?? NONE;
    }
    return NONE;
  }

  /** Adds an address that is unknown and gives its number, 0 to capacity-1: a new one, or that of the one that had to go. */
  add(bytes: Uint8Array, offset: number): number {
    const entry = this.#size < this.#capacity ? this.#size++ : this.#evictOldest();
    for (let word = 0; word < WORDS; word++) {
      this.#words[entry * WORDS + word] = wordAt(bytes, offset + 4 * word);
    }
    const bucket = this.#bucketOf(bytes, offset);
    this.#next[entry] = this.#heads[bucket] ?? NONE;
    this.#heads[bucket] = entry;
    this.#linkNewest(entry);
    return entry;
  }

  #holds(entry: number, bytes: Uint8Array, offset: number): boolean {
    for (let word = 0; word < WORDS; word++) {
      if (this.#words[entry * WORDS + word] !== wordAt(bytes, offset + 4 * word)) return false;
    }
    return true;
  }

  #evictOldest(): number {
    const entry = this.#newer[this.#capacity] ?? 0;
    this.#unlink(entry);
    const at = entry * WORDS;
    const [a = 0, b = 0, c = 0, d = 0] = [
      this.#words[at],
      this.#words[at + 1],
      this.#words[at + 2],
      this.#words[at + 3],
    ];
    const bucket = halfSipHash(this.#seed, a, b, c, d) & this.#mask;
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

  #bucketOf(bytes: Uint8Array, offset: number): number {
    const hash = halfSipHash(
      this.#seed,
      wordAt(bytes, offset),
      wordAt(bytes, offset + 4),
      wordAt(bytes, offset + 8),
      wordAt(bytes, offset + 12),
    );
    return hash & this.#mask;
  }
}

/** HalfSipHash-1-3 (as in the kernel's lib/siphash.c) of four words. Without the key nobody can make it collide. */
export function halfSipHash(key: HashSeed, a: number, b: number, c: number, d: number): number {
  let v0 = key[0] | 0;
  let v1 = key[1] | 0;
  let v2 = 0x6c796765 ^ key[0];
  let v3 = 0x74656462 ^ key[1];
  for (let block = 0; block < 8; block++) {
    const word =
      block === 0 ? a : block === 1 ? b : block === 2 ? c : block === 3 ? d : block === 4 ? 16 << 24 : 0;
    if (block === 5) v2 ^= 0xff;
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
