import { chacha20poly1305, hchacha } from "@noble/ciphers/chacha.js";
import { concat } from "./bytes.ts";
import { NONCE_BYTES, PACKET_BYTES, REPLY_BYTES, TAG_BYTES } from "./constants.ts";

/**
 * The AEAD around a request and around its answer: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
 *
 * Packet, 144 bytes: tag(8) || nonce(24) || AEAD(seal, nonce, aad = tag, request(96)).
 * Reply, 88 bytes: nonce(24) || AEAD(ack, nonce, aad = the packet's nonce, answer(48)).
 */
const SEALED_AT = TAG_BYTES + NONCE_BYTES;

/** The constant of ChaCha20 (RFC 8439 §2.3), as words. */
const SIGMA = new Uint32Array(Uint8Array.from("expand 32-byte k", (letter) => letter.charCodeAt(0)).buffer);
/** HChaCha20 reads the key and 16 bytes of the nonce as words, so they are copied to where words may lie. */
const KEY = new Uint32Array(8);
const LONG_NONCE = new Uint32Array(4);
const SUBKEY = new Uint32Array(8);
const keyBytes = new Uint8Array(KEY.buffer);
const longNonceBytes = new Uint8Array(LONG_NONCE.buffer);
const subkeyBytes = new Uint8Array(SUBKEY.buffer);
/** Four zeros and the last 8 bytes of the nonce. */
const NONCE = new Uint8Array(12);

/**
 * XChaCha20-Poly1305 by its definition (draft-irtf-cfrg-xchacha-03 §2.3): ChaCha20-Poly1305 with a key and a nonce that
 * HChaCha20 gives. The library's own derives that key twice, which made half of what a packet costs.
 */
function withAead<T>(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  work: (aead: ReturnType<typeof chacha20poly1305>) => T,
): T {
  if (key.length !== 32 || nonce.length !== NONCE_BYTES)
    throw new RangeError(`aead: expected 32 and ${NONCE_BYTES} bytes, got ${key.length} and ${nonce.length}`);
  keyBytes.set(key);
  longNonceBytes.set(nonce.subarray(0, 16));
  NONCE.set(nonce.subarray(16), 4);
  hchacha(SIGMA, KEY, LONG_NONCE, SUBKEY);
  try {
    return work(chacha20poly1305(subkeyBytes, NONCE, aad));
  } finally {
    KEY.fill(0);
    SUBKEY.fill(0);
  }
}

/** Makes a packet. The 24-byte nonce must be random and never used again. */
export function sealPacket(
  keys: { tag: Uint8Array; seal: Uint8Array },
  nonce: Uint8Array,
  request: Uint8Array,
) {
  const sealed = withAead(keys.seal, nonce, keys.tag, (aead) => aead.encrypt(request));
  return concat(keys.tag, nonce, sealed);
}

/** The 24-byte nonce of a packet, as a view. */
export function packetNonce(packet: Uint8Array): Uint8Array {
  return packet.subarray(TAG_BYTES, SEALED_AT);
}

/** The 96 bytes of the request, or undefined where the packet was not made with this key. */
export function openPacket(seal: Uint8Array, packet: Uint8Array): Uint8Array | undefined {
  if (packet.length !== PACKET_BYTES) return undefined;
  return decrypt(seal, packetNonce(packet), packet.subarray(0, TAG_BYTES), packet.subarray(SEALED_AT));
}

/** Makes the reply to the packet with `requestNonce`. The 24-byte nonce must be random and never used again. */
export function sealReply(ack: Uint8Array, nonce: Uint8Array, requestNonce: Uint8Array, answer: Uint8Array) {
  return concat(
    nonce,
    withAead(ack, nonce, requestNonce, (aead) => aead.encrypt(answer)),
  );
}

/** The 48 bytes of the answer, or undefined where this is no reply to the packet with `requestNonce`. */
export function openReply(
  ack: Uint8Array,
  requestNonce: Uint8Array,
  reply: Uint8Array,
): Uint8Array | undefined {
  if (reply.length !== REPLY_BYTES) return undefined;
  return decrypt(ack, reply.subarray(0, NONCE_BYTES), requestNonce, reply.subarray(NONCE_BYTES));
}

function decrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  try {
    return withAead(key, nonce, aad, (aead) => aead.decrypt(sealed));
  } catch {
    return undefined;
  }
}
