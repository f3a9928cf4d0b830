import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { concat } from "./bytes.ts";
import { NONCE_BYTES, PACKET_BYTES, REPLY_BYTES, TAG_BYTES } from "./constants.ts";

/**
 * The AEAD around a request and around its answer: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
 *
 * Packet, 144 bytes: tag(8) || nonce(24) || AEAD(seal, nonce, aad = tag, request(96)).
 * Reply, 88 bytes: nonce(24) || AEAD(ack, nonce, aad = the packet's nonce, answer(48)).
 */
const SEALED_AT = TAG_BYTES + NONCE_BYTES;

/** Makes a packet. The 24-byte nonce must be random and never used again. */
export function sealPacket(
  keys: { tag: Uint8Array; seal: Uint8Array },
  nonce: Uint8Array,
  request: Uint8Array,
) {
  return concat(keys.tag, nonce, xchacha20poly1305(keys.seal, nonce, keys.tag).encrypt(request));
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
  return concat(nonce, xchacha20poly1305(ack, nonce, requestNonce).encrypt(answer));
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
    return xchacha20poly1305(key, nonce, aad).decrypt(sealed);
  } catch {
    return undefined;
  }
}
