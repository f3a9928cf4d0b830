import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
} from "node:crypto";
import { crc32 } from "node:zlib";

/**
 * The primitives that the vectors are made with: node:crypto (OpenSSL) and code straight from the specifications.
 * Nothing here comes from shared/, so that a vector which shared/ reproduces was reached on two separate ways.
 */

export const utf8 = (text: string): Buffer => Buffer.from(text, "utf8");
export const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");

/** Bytes without a pattern that anyone can make again: SHA-256 of the text, cut to a length of at most 32. */
export function sample(text: string, length: number): Buffer {
  return createHash("sha256").update(text).digest().subarray(0, length);
}

export function uint(value: number | bigint, length: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer.subarray(8 - length);
}

/** RFC 5869 §2 with SHA-256, both steps. */
export function hkdf(ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Buffer {
  return Buffer.from(hkdfSync("sha256", ikm, salt, info, length));
}

/** RFC 5869 §2.2. */
export function hkdfExtract(ikm: Uint8Array, salt: Uint8Array): Buffer {
  return createHmac("sha256", salt).update(ikm).digest();
}

export function hmacSha1(key: Uint8Array, message: Uint8Array): Buffer {
  return createHmac("sha1", key).update(message).digest();
}

export { crc32 };

/** draft-irtf-cfrg-xchacha-03 §2.2: the ChaCha20 block function without its final addition, rows 0 and 3 of it. */
export function hchacha20(key: Buffer, nonce: Buffer): Buffer {
  const constants = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
  const state = Uint32Array.from([...constants, ...words(key), ...words(nonce)]);
  for (let round = 0; round < 10; round++) {
    for (const column of [0, 1, 2, 3]) quarter(state, column, column + 4, column + 8, column + 12);
    quarter(state, 0, 5, 10, 15);
    quarter(state, 1, 6, 11, 12);
    quarter(state, 2, 7, 8, 13);
    quarter(state, 3, 4, 9, 14);
  }
  const subkey = Buffer.alloc(32);
  for (const [index, from] of [0, 1, 2, 3, 12, 13, 14, 15].entries())
    subkey.writeUInt32LE(state[from]!, 4 * index);
  return subkey;
}

/** RFC 8439 §2.1. */
function quarter(state: Uint32Array, a: number, b: number, c: number, d: number): void {
  const step = (into: number, add: number, turned: number, by: number): void => {
    state[into] = state[into]! + state[add]!;
    const mixed = state[turned]! ^ state[into];
    state[turned] = (mixed << by) | (mixed >>> (32 - by));
  };
  step(a, b, d, 16);
  step(c, d, b, 12);
  step(a, b, d, 8);
  step(c, d, b, 7);
}

function words(buffer: Buffer): number[] {
  return Array.from({ length: buffer.length / 4 }, (_, index) => buffer.readUInt32LE(4 * index));
}

/** draft-irtf-cfrg-xchacha-03 §2.3: RFC 8439's AEAD under the HChaCha20 subkey. Ciphertext || 16-byte tag. */
export function aeadSeal(key: Buffer, nonce: Buffer, aad: Buffer, plaintext: Buffer): Buffer {
  const subkey = hchacha20(key, nonce.subarray(0, 16));
  const inner = Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]);
  const cipher = createCipheriv("chacha20-poly1305", subkey, inner, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

const PKCS8 = bytes("302e020100300506032b656e04220420");
const SPKI = bytes("302a300506032b656e032100");

const privateKey = (raw: Buffer) =>
  createPrivateKey({ key: Buffer.concat([PKCS8, raw]), format: "der", type: "pkcs8" });

/** RFC 7748 §5. OpenSSL refuses points of small order: undefined. */
export function x25519(secretKey: Buffer, point: Buffer): Buffer | undefined {
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI, point]), format: "der", type: "spki" });
  try {
    return diffieHellman({ privateKey: privateKey(secretKey), publicKey });
  } catch {
    return undefined;
  }
}

export function x25519Public(secretKey: Buffer): Buffer {
  return createPublicKey(privateKey(secretKey)).export({ format: "der", type: "spki" }).subarray(SPKI.length);
}
