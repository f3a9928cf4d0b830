import { type HashSeed, mix } from "./tag-table.ts";

const NONE = -1;
const MIN_CAPACITY = 16;

/**
 * The knock sequences of one time step, found by their last two ports: what a packet costs does not grow with the
 * number of devices, since even a million sequences share their last two ports with hardly any other.
 *
 * Chained hashing in typed arrays; a look-up allocates nothing.
 */
export class KnockTable {
  readonly #seed: HashSeed;
  readonly #length: number;
  #heads: Int32Array;
  #next: Int32Array;
  #owners: Uint32Array;
  #ports: Uint16Array;
  #free = NONE;
  #used = 0;

  /** `length` is the number of ports in a sequence, 2 or more. Room for `expected` sequences is made at once. */
  constructor(seed: HashSeed, length: number, expected = 0) {
    this.#seed = seed;
    this.#length = length;
    let capacity = MIN_CAPACITY;
    while (capacity < expected) capacity *= 2;
    this.#heads = new Int32Array(capacity).fill(NONE);
    this.#next = new Int32Array(capacity);
    this.#owners = new Uint32Array(capacity);
    this.#ports = new Uint16Array(capacity * length);
  }

  /** How many sequences there ever were at once. */
  get size(): number {
    return this.#used;
  }

  /** Forgets every sequence, and keeps the room for them. */
  clear(): void {
    this.#heads.fill(NONE);
    this.#free = NONE;
    this.#used = 0;
  }

  /** Adds a sequence with its owner, 1 to 2^32-1. */
  add(owner: number, ports: readonly number[]): void {
    const entry = this.#allocate();
    const length = this.#length;
    this.#owners[entry] = owner;
    for (let index = 0; index < length; index++) this.#ports[entry * length + index] = ports[index] ?? 0;
    const bucket = this.#bucket(ports[length - 2] ?? 0, ports[length - 1] ?? 0);
    this.#next[entry] = this.#heads[bucket] ?? NONE;
    this.#heads[bucket] = entry;
  }

  /** Removes the sequence of an owner; false where it has none with these last two ports. */
  remove(owner: number, ports: readonly number[]): boolean {
    const bucket = this.#bucket(ports[this.#length - 2] ?? 0, ports[this.#length - 1] ?? 0);
    let before = NONE;
    for (let entry = this.#heads[bucket] ?? NONE; entry !== NONE; entry = this.#next[entry] ?? NONE) {
      if (this.#owners[entry] === owner) {
        const after = this.#next[entry] ?? NONE;
        if (before === NONE) this.#heads[bucket] = after;
        else this.#next[before] = after;
        this.#next[entry] = this.#free;
        this.#free = entry;
        return true;
      }
      before = entry;
    }
    return false;
  }

  /**
   * The owner of a sequence that is an ordered subsequence of the first `count` ports of `recent` (oldest first) and
   * ends with the last of them; 0 where there is none.
   */
  match(recent: Uint16Array, count: number): number {
    const last = recent[count - 1] ?? 0;
    for (let second = this.#length - 2; second < count - 1; second++) {
      const port = recent[second] ?? 0;
      let entry = this.#heads[this.#bucket(port, last)] ?? NONE;
      for (; entry !== NONE; entry = this.#next[entry] ?? NONE) {
        if (this.#ends(entry, port, last) && this.#begins(entry, recent, second))
          return this.#owners[entry] ?? 0;
      }
    }
    return 0;
  }

  #ends(entry: number, port: number, last: number): boolean {
    const end = (entry + 1) * this.#length;
    return this.#ports[end - 1] === last && this.#ports[end - 2] === port;
  }

  /** Whether all but the last two ports of an entry are an ordered subsequence of the first `count` of `recent`. */
  #begins(entry: number, recent: Uint16Array, count: number): boolean {
    const wanted = this.#length - 2;
    const start = entry * this.#length;
    let found = 0;
    for (let index = 0; index < count && found < wanted; index++) {
      if (recent[index] === this.#ports[start + found]) found++;
    }
    return found === wanted;
  }

  #bucket(port: number, last: number): number {
    return mix((port * 65536 + last) ^ this.#seed[0], this.#seed[1]) & (this.#heads.length - 1);
  }

  #allocate(): number {
    if (this.#free !== NONE) {
      const entry = this.#free;
      this.#free = this.#next[entry] ?? NONE;
      return entry;
    }
    if (this.#used === this.#owners.length) this.#grow();
    return this.#used++;
  }

  /** Doubles the room. Called only when every entry is in a chain. */
  #grow(): void {
    const capacity = this.#owners.length * 2;
    const { owners, ports } = { owners: this.#owners, ports: this.#ports };
    this.#owners = new Uint32Array(capacity);
    this.#owners.set(owners);
    this.#ports = new Uint16Array(capacity * this.#length);
    this.#ports.set(ports);
    this.#next = new Int32Array(capacity);
    this.#heads = new Int32Array(capacity).fill(NONE);
    for (let entry = 0; entry < this.#used; entry++) {
      const end = (entry + 1) * this.#length;
      const bucket = this.#bucket(ports[end - 2] ?? 0, ports[end - 1] ?? 0);
      this.#next[entry] = this.#heads[bucket] ?? NONE;
      this.#heads[bucket] = entry;
    }
  }
}
