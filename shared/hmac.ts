import { _SHA256 } from "@noble/hashes/sha2.js";

/**
 * HMAC-SHA256 (RFC 2104) with keys whose own block is hashed beforehand. A message of one block then costs two rounds of
 * compression and no memory: a daemon derives tags for a hundred thousand devices each step.
 *
 * A key's state is `STATE_WORDS` words: SHA-256's state after key ^ ipad, then after key ^ opad. It is as secret as the key.
 */
export const STATE_WORDS = 16;
/** What fits into one block of 64 bytes with its end mark and length. */
const MOST_BYTES = 55;
const DIGEST_BYTES = 32;

/** noble's compression function (FIPS 180-4 §6.2.2), run on a state that is kept elsewhere. */
class Compression extends _SHA256 {
  /** Compresses one block of 64 bytes on top of the 8 words at `at`. */
  run(states: Int32Array, at: number, block: DataView): void {
    this.set(
      states[at] ?? 0,
      states[at + 1] ?? 0,
      states[at + 2] ?? 0,
      states[at + 3] ?? 0,
      states[at + 4] ?? 0,
      states[at + 5] ?? 0,
      states[at + 6] ?? 0,
      states[at + 7] ?? 0,
    );
    this.process(block, 0);
  }

  /** The state as 8 words, big-endian, at an offset. */
  write(out: DataView, at: number): void {
    out.setInt32(at, this.A);
    out.setInt32(at + 4, this.B);
    out.setInt32(at + 8, this.C);
    out.setInt32(at + 12, this.D);
    out.setInt32(at + 16, this.E);
    out.setInt32(at + 20, this.F);
    out.setInt32(at + 24, this.G);
    out.setInt32(at + 28, this.H);
  }

  keep(states: Int32Array, at: number): void {
    states[at] = this.A;
    states[at + 1] = this.B;
    states[at + 2] = this.C;
    states[at + 3] = this.D;
    states[at + 4] = this.E;
    states[at + 5] = this.F;
    states[at + 6] = this.G;
    states[at + 7] = this.H;
  }
}

// Nothing here waits, so one set of blocks serves everybody.
const sha256 = new Compression();
const INITIAL = new Int32Array(8);
sha256.keep(INITIAL, 0);
const block = new Uint8Array(64);
const blockView = new DataView(block.buffer);
const outer = new DataView(new ArrayBuffer(64));
outer.setUint8(DIGEST_BYTES, 0x80);
outer.setUint32(60, (64 + DIGEST_BYTES) * 8);

/** Writes the state of a key of at most 64 bytes to `states` at word `at`. A longer one throws RangeError. */
export function hmacKey(key: Uint8Array, states: Int32Array, at: number): void {
  if (key.length > 64) throw new RangeError(`hmac key: expected at most 64 bytes, got ${key.length}`);
  for (const [half, pad] of [0x36, 0x5c].entries()) {
    for (let index = 0; index < 64; index++) block[index] = (key[index] ?? 0) ^ pad;
    sha256.run(INITIAL, 0, blockView);
    sha256.keep(states, at + half * 8);
  }
  block.fill(0);
}

/**
 * HMAC of the first `length` bytes of `message`, at most 55, under the key at word `at`: 32 bytes into `digest`, which may
 * be `message` itself. More bytes throw RangeError. Allocates nothing.
 */
export function hmac(
  states: Int32Array,
  at: number,
  message: Uint8Array,
  length: number,
  digest: DataView,
): void {
  if (length > MOST_BYTES) throw new RangeError(`hmac: expected at most ${MOST_BYTES} bytes, got ${length}`);
  for (let index = 0; index < length; index++) block[index] = message[index] ?? 0;
  block[length] = 0x80;
  block.fill(0, length + 1, 62);
  blockView.setUint16(62, (64 + length) * 8);
  sha256.run(states, at, blockView);
  sha256.write(outer, 0);
  sha256.run(states, at + 8, outer);
  sha256.write(digest, 0);
}
