import { TAG_BYTES } from "../../shared/constants.ts";
import { STUN_MAX_BYTES, STUN_MIN_BYTES, UFRAG_CHARACTERS } from "../../shared/stun.ts";
import { wordAt } from "./tag-table.ts";

/**
 * Finds a packet in a STUN Binding Request, and the packet's tag, without decoding the rest and without allocating:
 * what strangers send gets no further than this. Agrees with decodeStunRequest of shared/stun.ts.
 */
const BINDING_REQUEST = 0x0001;
const MAGIC_COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const USERNAME = 0x0006;
const COLON = 0x3a;
/** 8 bytes are 10 characters and 4 bits of the eleventh. */
const TAG_CHARACTERS = 11;

/** Where the packet's 192 characters begin in `bytes`, or -1 where the datagram is no request that carries a packet. */
export function findStunPacket(bytes: Uint8Array, offset: number, length: number): number {
  if (length < STUN_MIN_BYTES || length > STUN_MAX_BYTES || length % 4 !== 0) return -1;
  const isRequest =
    u16(bytes, offset) === BINDING_REQUEST &&
    u16(bytes, offset + 2) === length - HEADER_BYTES &&
    wordAt(bytes, offset + 4) === MAGIC_COOKIE;
  if (!isRequest) return -1;
  const end = offset + length;
  for (let at = offset + HEADER_BYTES; at + 4 <= end; ) {
    const size = u16(bytes, at + 2);
    const value = at + 4;
    if (value + size > end) return -1;
    if (u16(bytes, at) === USERNAME) {
      return size > UFRAG_CHARACTERS && bytes[value + UFRAG_CHARACTERS] === COLON ? value : -1;
    }
    at = value + size + (-size & 3);
  }
  return -1;
}

/** Decodes the first 8 bytes of base64 text at `offset` into `tag`. False for another character. */
export function decodeTag(bytes: Uint8Array, offset: number, tag: Uint8Array): boolean {
  let word = 0;
  let bits = 0;
  let at = 0;
  for (let index = 0; index < TAG_CHARACTERS; index++) {
    const value = VALUES[bytes[offset + index] ?? 0] ?? -1;
    if (value < 0) return false;
    word = ((word << 6) | value) & 0x3fff;
    bits += 6;
    if (bits >= 8 && at < TAG_BYTES) {
      bits -= 8;
      tag[at++] = (word >> bits) & 0xff;
    }
  }
  return true;
}

const VALUES = new Int8Array(256).fill(-1);
for (const [value, character] of [
  ..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
].entries()) {
  VALUES[character.charCodeAt(0)] = value;
}

function u16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}
