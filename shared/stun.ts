import { hmac } from "@noble/hashes/hmac.js";
import { sha1 } from "@noble/hashes/legacy.js";
import { Address } from "./address.ts";
import { ascii, base64, concat, fromBase64 } from "./bytes.ts";
import { PACKET_BYTES } from "./constants.ts";
import { constantTimeEqual } from "./secret.ts";

/**
 * The STUN form (RFC 8489): a packet as the ICE user name of a Binding Request, which is what a browser sends as its
 * first connectivity check (RFC 8445 §7.2.2), and the Binding Success Response that it takes for an answer.
 */
const BINDING_REQUEST = 0x0001;
const BINDING_SUCCESS = 0x0101;
const MAGIC_COOKIE = 0x2112a442;
const HEADER_BYTES = 20;
const USERNAME = 0x0006;
const MESSAGE_INTEGRITY = 0x0008;
const XOR_MAPPED_ADDRESS = 0x0020;
const PRIORITY = 0x0024;
const FINGERPRINT = 0x8028;
const ICE_CONTROLLING = 0x802a;
const COLON = 0x3a;

export const TRANSACTION_BYTES = 12;
/** A request outside of these sizes is not looked at. */
export const STUN_MIN_BYTES = 28;
export const STUN_MAX_BYTES = 600;
/** 144 bytes in base64. */
export const UFRAG_CHARACTERS = (PACKET_BYTES / 3) * 4;

export interface StunRequest {
  /** 12 bytes that the answer repeats. */
  readonly transactionId: Uint8Array;
  /** The 144 bytes of the packet. */
  readonly packet: Uint8Array;
}

/**
 * The packet in a Binding Request, or undefined where the datagram is not one or its user name carries no packet.
 * Whose it is, and whether it is whole, is not looked at here; see {@link isSigned} and the packet's AEAD.
 */
export function decodeStunRequest(message: Uint8Array): StunRequest | undefined {
  if (message.length < STUN_MIN_BYTES || message.length > STUN_MAX_BYTES) return undefined;
  const name = isMessage(message, BINDING_REQUEST) ? attribute(message, USERNAME) : undefined;
  if (name === undefined || name.length <= UFRAG_CHARACTERS || name[UFRAG_CHARACTERS] !== COLON)
    return undefined;
  const packet = fromBase64(name.subarray(0, UFRAG_CHARACTERS));
  return packet && { transactionId: new Uint8Array(message.subarray(8, HEADER_BYTES)), packet };
}

/**
 * Whether a Binding Request carries MESSAGE-INTEGRITY (RFC 8489 §14.5) made with the step's `ice`. It binds the
 * transaction id, which the answer repeats, to the packet: nobody on the way can have one packet answered as another.
 */
export function isSigned(message: Uint8Array, icePassword: string): boolean {
  const integrity = attribute(message, MESSAGE_INTEGRITY);
  if (integrity?.length !== 20) return false;
  const at = integrity.byteOffset - message.byteOffset - 4;
  const covered = concat(
    header(BINDING_REQUEST, at + 24 - HEADER_BYTES, message.subarray(8, HEADER_BYTES)),
    message.subarray(HEADER_BYTES, at),
  );
  return constantTimeEqual(integrity, hmac(sha1, ascii(icePassword), covered));
}

/**
 * A Binding Request as a browser would send it. `transactionId` (12 bytes), `tieBreaker` (8) and `localUfrag`
 * (4 or more characters of base64) should be random; `icePassword` is the step's `ice`.
 */
export function encodeStunRequest(
  packet: Uint8Array,
  icePassword: string,
  random: { transactionId: Uint8Array; tieBreaker: Uint8Array; localUfrag: string },
): Uint8Array {
  const attributes = concat(
    encodeAttribute(USERNAME, ascii(`${base64(packet)}:${random.localUfrag}`)),
    encodeAttribute(ICE_CONTROLLING, random.tieBreaker),
    encodeAttribute(PRIORITY, Uint8Array.of(0x6e, 0x00, 0x1e, 0xff)),
  );
  return finish(BINDING_REQUEST, random.transactionId, attributes, icePassword);
}

/** The Binding Success Response to a request: says, under the step's `ice`, where the request came from. */
export function encodeStunSuccess(
  transactionId: Uint8Array,
  source: Address,
  sourcePort: number,
  icePassword: string,
): Uint8Array {
  const value = xorAddress(source.wire(), sourcePort, source.family, transactionId);
  return finish(BINDING_SUCCESS, transactionId, encodeAttribute(XOR_MAPPED_ADDRESS, value), icePassword);
}

/** Where the request came from, or undefined where the message is not the authentic answer to `transactionId`. */
export function decodeStunSuccess(
  message: Uint8Array,
  transactionId: Uint8Array,
  icePassword: string,
): { readonly source: Address; readonly sourcePort: number } | undefined {
  if (!isMessage(message, BINDING_SUCCESS)) return undefined;
  if (!constantTimeEqual(message.subarray(8, HEADER_BYTES), transactionId)) return undefined;
  const mapped = attribute(message, XOR_MAPPED_ADDRESS);
  const family = mapped?.[1] === 2 ? 6 : 4;
  if (
    mapped === undefined ||
    mapped.length !== (family === 4 ? 8 : 20) ||
    mapped[1] !== (family === 4 ? 1 : 2)
  ) {
    return undefined;
  }
  const expected = finish(
    BINDING_SUCCESS,
    transactionId,
    encodeAttribute(XOR_MAPPED_ADDRESS, mapped),
    icePassword,
  );
  if (!constantTimeEqual(message, expected)) return undefined;
  const plain = xorAddress(mapped.subarray(4), 0, family, transactionId).subarray(4);
  const port = (((mapped[2] ?? 0) << 8) | (mapped[3] ?? 0)) ^ (MAGIC_COOKIE >>> 16);
  return { source: family === 4 ? Address.v4(plain) : new Address(plain), sourcePort: port };
}

/** RFC 8489 §14.2: family, port and address, XORed with the magic cookie and, for IPv6, the transaction id. */
function xorAddress(wire: Uint8Array, port: number, family: 4 | 6, transactionId: Uint8Array): Uint8Array {
  const mask = concat(u32(MAGIC_COOKIE), transactionId);
  const value = concat(Uint8Array.of(0, family === 4 ? 1 : 2, port >> 8, port & 0xff), wire);
  for (let index = 2; index < value.length; index++) {
    value[index] = (value[index] ?? 0) ^ (mask[index < 4 ? index - 2 : index - 4] ?? 0);
  }
  return value;
}

/** Type, cookie and length field are those of one whole message of this type. */
function isMessage(message: Uint8Array, type: number): boolean {
  if (message.length < HEADER_BYTES || message.length % 4 !== 0) return false;
  const view = viewOf(message);
  return (
    view.getUint16(0) === type &&
    view.getUint16(2) === message.length - HEADER_BYTES &&
    view.getUint32(4) === MAGIC_COOKIE
  );
}

/** The value of the first attribute of a type, as a view; undefined where it is missing or one before it is cut short. */
function attribute(message: Uint8Array, wanted: number): Uint8Array | undefined {
  const view = viewOf(message);
  for (let at = HEADER_BYTES; at + 4 <= message.length; ) {
    const length = view.getUint16(at + 2);
    const end = at + 4 + length;
    if (end > message.length) return undefined;
    if (view.getUint16(at) === wanted) return message.subarray(at + 4, end);
    at = end + (-length & 3);
  }
  return undefined;
}

/** Header and attributes, then MESSAGE-INTEGRITY (§14.5) and FINGERPRINT (§14.7). */
function finish(
  type: number,
  transactionId: Uint8Array,
  attributes: Uint8Array,
  password: string,
): Uint8Array {
  const covered = concat(header(type, attributes.length + 24, transactionId), attributes);
  const integrity = encodeAttribute(MESSAGE_INTEGRITY, hmac(sha1, ascii(password), covered));
  const all = concat(header(type, attributes.length + 32, transactionId), attributes, integrity);
  return concat(all, encodeAttribute(FINGERPRINT, u32((crc32(all) ^ 0x5354554e) >>> 0)));
}

function header(type: number, length: number, transactionId: Uint8Array): Uint8Array {
  return concat(
    Uint8Array.of(type >> 8, type & 0xff, length >> 8, length & 0xff),
    u32(MAGIC_COOKIE),
    transactionId,
  );
}

function encodeAttribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + value.length + (-value.length & 3));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, type);
  view.setUint16(2, value.length);
  bytes.set(value, 4);
  return bytes;
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** CRC-32 of ISO 3309, as FINGERPRINT wants it. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
