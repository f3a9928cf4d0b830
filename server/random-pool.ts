import { randomFillSync } from "node:crypto";

const POOL_BYTES = 4096;

/**
 * Random bytes in small pieces, each given once. The generator is asked for many at a time: each asking takes as long as
 * all else that a reply needs. For nonces; keys do not wait in a pool.
 */
export function pooledRandom(
  fill: (pool: Uint8Array) => void = randomFillSync,
): (length: number) => Uint8Array {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return (length) => {
    if (length > POOL_BYTES)
      throw new RangeError(`random: expected at most ${POOL_BYTES} bytes, got ${length}`);
    if (used + length > POOL_BYTES) {
      fill(pool);
      used = 0;
    }
    const bytes = pool.slice(used, used + length);
    used += length;
    return bytes;
  };
}
