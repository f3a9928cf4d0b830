import type { Random } from "./random.ts";

const INTERESTING = [0, 1, 2, 4, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 143, 144, 145, 192, 254, 255];
/** Where a mutant would grow over this, it is cut. */
const MOST_BYTES = 4096;

/** A changed copy of `base`: one to eight small changes, or a splice with another input. `words` are put in whole. */
export function mutate(
  base: Uint8Array,
  other: Uint8Array,
  words: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(base);
  for (let left = 1 << random.below(4); left > 0; left--) bytes = change(bytes, other, words, random);
  return bytes.length > MOST_BYTES ? bytes.subarray(0, MOST_BYTES) : bytes;
}

function change(
  bytes: Uint8Array,
  other: Uint8Array,
  words: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  const at = random.below(bytes.length);
  switch (random.below(12)) {
    case 0:
    case 1:
      return set(bytes, at, (bytes[at] ?? 0) ^ (1 << random.below(8)));
    case 2:
      return set(bytes, at, random.below(256));
    case 3:
      return set(bytes, at, random.pick(INTERESTING));
    case 4:
      return set(bytes, at, (bytes[at] ?? 0) + random.below(9) - 4);
    case 5: {
      const value = random.below(2) === 0 ? bytes.length + random.below(65) - 32 : random.below(65536);
      return set(set(bytes, at, value >> 8), at + 1, value);
    }
    case 6:
      return join(bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(16)));
    case 7:
      return join(bytes.subarray(0, at), filled(1 + random.below(16), random), bytes.subarray(at));
    case 8: {
      const from = random.below(bytes.length);
      const part = bytes.slice(from, from + 1 + random.below(64));
      return join(bytes.subarray(0, at), part, bytes.subarray(at + (random.below(2) && part.length)));
    }
    case 9: {
      const from = random.below(other.length);
      return join(bytes.subarray(0, at), other.subarray(from));
    }
    case 10:
      return bytes.subarray(0, at);
    default: {
      if (words.length === 0) return set(bytes, at, random.below(256));
      const word = random.pick(words);
      return join(bytes.subarray(0, at), word, bytes.subarray(at + (random.below(2) && word.length)));
    }
  }
}

/** `bytes` is the mutant's own. */
function set(bytes: Uint8Array, at: number, value: number): Uint8Array {
  if (at < bytes.length) bytes[at] = value;
  return bytes;
}

function filled(length: number, random: Random): Uint8Array {
  return new Uint8Array(length).fill(random.below(256));
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
