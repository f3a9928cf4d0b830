import { endianness } from "node:os";

/**
 * Netlink messages and attributes as bytes (linux/netlink.h, linux/netfilter/nfnetlink.h).
 * Headers are in the machine's byte order, netfilter's attribute values in network order.
 */

const LITTLE = endianness() === "LE";
const NESTED = 0x8000;
const NETWORK_ORDER = 0x4000;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_EXCL = 0x200;
export const NLM_F_NONREC = 0x100;
export const NLM_F_CREATE = 0x400;
export const NLM_F_DUMP = 0x300;

/** A message to be sent; the socket adds length, sequence number and port. */
export interface Message {
  readonly type: number;
  /** NLM_F_* bits; NLM_F_REQUEST is always added. */
  readonly flags: number;
  readonly body: Uint8Array;
}

/** A message that came: its type, flags, sequence number, and the bytes after its header. */
export interface Received {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** One attribute: type without its flag bits, and its value without padding. */
export type Attribute = readonly [type: number, value: Uint8Array];

/** A netfilter message: `subsystem << 8 | command`, and an nfgenmsg (family, version 0, resource id) before the attributes. */
export function netfilterMessage(
  subsystem: number,
  command: number,
  parts: { readonly family: number; readonly flags: number; readonly resource?: number },
  ...attributes: Uint8Array[]
): Message {
  const resource = parts.resource ?? 0;
  const header = Uint8Array.of(parts.family, 0, resource >> 8, resource & 0xff);
  return { type: (subsystem << 8) | command, flags: parts.flags, body: concat([header, ...attributes]) };
}

/** An attribute with this value, padded to 4 bytes. More than 65,531 bytes throw RangeError. */
export function attribute(type: number, value: Uint8Array): Uint8Array {
  const length = 4 + value.length;
  if (length > 0xffff) throw new RangeError(`netlink attribute: at most 65531 bytes, got ${value.length}`);
  const bytes = new Uint8Array(padded(length));
  put16(bytes, 0, length);
  put16(bytes, 2, type);
  bytes.set(value, 4);
  return bytes;
}

/** 16 bits in the machine's byte order. A DataView for it would cost more than all else that an attribute does. */
function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = LITTLE ? value & 0xff : value >> 8;
  bytes[at + 1] = LITTLE ? value >> 8 : value & 0xff;
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at + (LITTLE ? 0 : 2), value & 0xffff);
  put16(bytes, at + (LITTLE ? 2 : 0), value >>> 16);
}

/** An attribute that holds attributes. */
export function nested(type: number, ...attributes: Uint8Array[]): Uint8Array {
  return attribute(type | NESTED, concat(attributes));
}

/** An attribute marked as being in network byte order, as ipset wants its numbers and addresses. */
export function networkOrder(type: number, value: Uint8Array): Uint8Array {
  return attribute(type | NETWORK_ORDER, value);
}

/** ASCII with the zero byte at its end. */
export function text(value: string): Uint8Array {
  return Buffer.from(`${value}\0`, "latin1");
}

/** 16 bits, network order. */
export function be16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** 32 bits, network order. */
export function be32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** Writes 32 bits in network order. */
export function putBe32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** 64 bits, network order, from a safe whole number. */
export function be64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** The number that 1 to 8 bytes in network order hold; 0 when there are none. */
export function fromBe(bytes: Uint8Array | undefined): number {
  let value = 0;
  for (const byte of bytes ?? []) value = value * 256 + byte;
  return value;
}

/** The text of an attribute, up to its zero byte. */
export function fromText(bytes: Uint8Array | undefined): string {
  const all = Buffer.from(bytes ?? []).toString("latin1");
  const end = all.indexOf("\0");
  return end < 0 ? all : all.slice(0, end);
}

/** The attributes of a message body after its nfgenmsg. */
export function netfilterAttributes(message: Received): Attribute[] {
  return attributesOf(message.body.subarray(4));
}

/** Attributes one after another, flag bits taken off. What does not fit any more ends the list. */
export function attributesOf(bytes: Uint8Array | undefined): Attribute[] {
  const found: Attribute[] = [];
  if (bytes === undefined) return found;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view.getUint16(at, LITTLE);
    if (length < 4 || at + length > bytes.length) break;
    found.push([view.getUint16(at + 2, LITTLE) & 0x3fff, bytes.subarray(at + 4, at + length)]);
    at += padded(length);
  }
  return found;
}

/** The first attribute of a type. */
export function valueOf(attributes: readonly Attribute[], type: number): Uint8Array | undefined {
  return attributes.find(([each]) => each === type)?.[1];
}

/** Messages as one datagram, numbered from `first`. Port 0: the kernel knows the sender. */
export function encode(messages: readonly Message[], first: number): Uint8Array {
  const whole = new Uint8Array(messages.reduce((sum, { body }) => sum + padded(16 + body.length), 0));
  let at = 0;
  for (const [index, { type, flags, body }] of messages.entries()) {
    put32(whole, at, 16 + body.length);
    put16(whole, at + 4, type);
    put16(whole, at + 6, flags | NLM_F_REQUEST);
    put32(whole, at + 8, first + index);
    whole.set(body, at + 16);
    at += padded(16 + body.length);
  }
  return whole;
}

/** The messages of a datagram; their bodies are copies. What does not fit any more ends the list. */
export function decode(bytes: Uint8Array): Received[] {
  const found: Received[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 16 <= bytes.length; ) {
    const length = view.getUint32(at, LITTLE);
    if (length < 16 || at + length > bytes.length) break;
    found.push({
      type: view.getUint16(at + 4, LITTLE),
      flags: view.getUint16(at + 6, LITTLE),
      sequence: view.getUint32(at + 8, LITTLE),
      body: bytes.slice(at + 16, at + length),
    });
    at += padded(length);
  }
  return found;
}

/** What an NLMSG_ERROR says: 0 or the negative errno, and the kernel's words when it gave any (NLMSGERR_ATTR_MSG). */
export function decodeError(message: Received): { readonly code: number; readonly words: string } {
  const { body, flags } = message;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const code = body.length >= 4 ? view.getInt32(0, LITTLE) : -74;
  if ((flags & 0x200) === 0 || body.length < 20) return { code, words: "" };
  const capped = (flags & 0x100) !== 0;
  const original = capped ? 16 : (view.getUint32(4, LITTLE) + 3) & ~3;
  return { code, words: fromText(valueOf(attributesOf(body.subarray(4 + original)), 1)) };
}

/** A length, padded to 4 bytes. */
function padded(length: number): number {
  return (length + 3) & ~3;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
