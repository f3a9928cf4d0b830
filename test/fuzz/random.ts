/** A small generator of random numbers that a seed sets (xorshift128 by Marsaglia): the same seed, the same run. */
export class Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    let word = seed >>> 0;
    for (let index = 0; index < 4; index++) {
      // splitmix32, so that near seeds give unlike states.
      word = (word + 0x9e3779b9) >>> 0;
      let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
      mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
      this.#state[index] = (mixed ^ (mixed >>> 16)) >>> 0 || 1;
    }
  }

  /** 32 random bits. */
  word(): number {
    const state = this.#state;
    let word = state[3]!;
    word ^= word << 11;
    word ^= word >>> 8;
    state[3] = state[2]!;
    state[2] = state[1]!;
    state[1] = state[0]!;
    state[0] = word ^ state[1] ^ (state[1] >>> 19);
    return state[0];
  }

  /** From 0 to `end` - 1; 0 where `end` is 0. */
  below(end: number): number {
    return end === 0 ? 0 : this.word() % end;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}
