import {
  flipBit,
  keysOf,
  NOW,
  OTHER_SECRET,
  OTHER_SERVER_ID,
  SECRET,
  SERVER_ID,
  STEP,
  withByte,
} from "./inputs.ts";
import { aeadSeal, bytes, sample, uint, utf8 } from "./primitives.ts";
import { CLOSE, FULL, OPEN, PING, plaintext, type RequestFields, ROTATE } from "./requests.ts";

/**
 * Where a packet is dropped: `form` (its length), `tag` (not that of the device and step), `seal` (the AEAD),
 * `request` (the 96 bytes break a rule), `time` (sent-at lies in another step than the keys).
 */
type Drop = "form" | "tag" | "seal" | "request" | "time";

const STEP_FIRST = STEP * 30_000;

/** The packet of 96 bytes for the first device, and what a daemon that knows just this device and step makes of it. */
export function sealed(name: string, request: Buffer, secret = SECRET, id = SERVER_ID, step = STEP): Buffer {
  const { tag, seal } = keysOf(secret, id, step);
  const nonce = sample(`tock vectors: packet nonce: ${name}`, 24);
  return Buffer.concat([tag, nonce, aeadSeal(seal, nonce, tag, request)]);
}

export function packets(): object[] {
  return [...valid(), ...badRequests(), ...badPackets()];
}

function entry(name: string, step: number, request: Buffer | null, packet: Buffer, result: object): object {
  return {
    name,
    secret: SECRET.toString("hex"),
    serverId: SERVER_ID.toString("hex"),
    step,
    plaintext: request?.toString("hex") ?? null,
    packet: packet.toString("hex"),
    ...result,
  };
}

function accepted(name: string, fields: RequestFields): object {
  const step = Math.floor(fields.sentAt / 30_000);
  const request = plaintext(fields);
  return entry(name, step, request, sealed(name, request, SECRET, SERVER_ID, step), { request: fields });
}

function valid(): object[] {
  return [
    accepted("open ssh", OPEN),
    accepted("open with every field", FULL),
    accepted("open, IPv6 address to allow", { ...FULL, allow: "2001:db8::1:2" }),
    accepted("open, one service name of 16", { ...OPEN, service: "a-service_name16" }),
    accepted("open, one service name of 1", { ...OPEN, service: "0" }),
    accepted("open, largest values", {
      ...FULL,
      otp: 999_999,
      fromPort: 65535,
      lifetime: 65535,
      connections: 255,
    }),
    accepted("open, code 0", { ...OPEN, otp: 0 }),
    accepted("open, first millisecond of the step", { ...OPEN, sentAt: STEP_FIRST }),
    accepted("open, last millisecond of the step", { ...OPEN, sentAt: STEP_FIRST + 29_999 }),
    accepted("open at time 0", { ...OPEN, sentAt: 0 }),
    accepted("open at the last time that 48 bits hold", { ...OPEN, sentAt: 2 ** 48 - 1 }),
    accepted("close ssh", CLOSE),
    accepted("close with every field", { ...CLOSE, replyWanted: true, otp: 1, allow: "192.0.2.33" }),
    accepted("ping", PING),
    accepted("ping without reply", { ...PING, replyWanted: false, otp: 42 }),
    accepted("ping for the first detail", { ...PING, detail: 1 }),
    accepted("ping for the last detail", { ...PING, detail: 10 }),
    accepted("rotate", ROTATE),
    accepted("rotate with a code", { ...ROTATE, replyWanted: false, otp: 7 }),
  ];
}

/** Properly sealed, and each breaks one rule of the request. */
function badRequests(): object[] {
  const open = plaintext(OPEN);
  const close = plaintext(CLOSE);
  const ping = plaintext(PING);
  const rotate = plaintext(ROTATE);
  const name = (from: Buffer, service: Buffer): Buffer => {
    const field = Buffer.alloc(16);
    service.copy(field);
    return Buffer.concat([from.subarray(0, 36), field, from.subarray(52)]);
  };
  const at = (from: Buffer, offset: number, value: Buffer): Buffer => {
    return Buffer.concat([from.subarray(0, offset), value, from.subarray(offset + value.length)]);
  };
  const cases: [string, Buffer][] = [
    ["version 0", withByte(open, 0, 0)],
    ["version 2", withByte(open, 0, 2)],
    ["type 0", withByte(open, 1, 0)],
    ["type 5", withByte(open, 1, 5)],
    ["type 255", withByte(open, 1, 255)],
    ["flag bit 1", withByte(open, 3, 2)],
    ["flag bit 15", withByte(open, 2, 0x80)],
    ["code of seven digits", at(open, 10, uint(1_000_000, 4))],
    ["code one below none", at(open, 10, uint(0xfffffffe, 4))],
    ["open with a detail", withByte(open, 35, 1)],
    ["close with a detail", withByte(close, 35, 1)],
    ["rotate with a detail", withByte(rotate, 35, 1)],
    ["ping for a detail that there is not", withByte(ping, 35, 11)],
    ["open without a service", at(open, 36, Buffer.alloc(16))],
    ["close without a service", at(close, 36, Buffer.alloc(16))],
    ["service name with an upper-case letter", name(open, utf8("Ssh"))],
    ["service name that starts with -", name(open, utf8("-ssh"))],
    ["service name that starts with _", name(open, utf8("_ssh"))],
    ["service name with a space", name(open, utf8("s sh"))],
    ["service name with a dot", name(open, utf8("s.h"))],
    ["service name with a byte over 127", name(open, bytes("73c3a9"))],
    ["service name with a line feed at its end", name(open, utf8("ssh\n"))],
    ["service name with text after a zero", name(open, utf8("ssh\0x"))],
    ["service name with a zero first", name(open, utf8("\0ssh"))],
    ["ping with a service", name(ping, utf8("ssh"))],
    ["rotate with a service", name(rotate, utf8("ssh"))],
    ["open with a body", withByte(open, 52, 1)],
    ["close with a body", withByte(close, 83, 1)],
    ["ping with a body", withByte(ping, 60, 1)],
    ["rotate with a body of zeros", at(rotate, 52, Buffer.alloc(32))],
    ["first byte of the padding set", withByte(open, 84, 1)],
    ["last byte of the padding set", withByte(open, 95, 0x80)],
    ["close with a connect-from port", withByte(close, 31, 22)],
    ["close with a lifetime", withByte(close, 33, 30)],
    ["close with connections", withByte(close, 34, 1)],
    ["ping with an address", withByte(ping, 29, 1)],
    ["ping with a connect-from port", withByte(ping, 30, 1)],
    ["ping with a lifetime", withByte(ping, 32, 1)],
    ["ping with connections", withByte(ping, 34, 1)],
    ["rotate with an address", withByte(rotate, 14, 0x20)],
    ["rotate with a lifetime", withByte(rotate, 33, 1)],
    ["rotate with connections", withByte(rotate, 34, 255)],
    ["all zeros", Buffer.alloc(96)],
  ];
  return cases.map(([what, request]) => entry(what, STEP, request, sealed(what, request), drop("request")));
}

function drop(stage: Drop): object {
  return { drop: stage };
}

/** The request is in order; what is around it is not. */
function badPackets(): object[] {
  const open = plaintext(OPEN);
  const packet = sealed("open ssh", open);
  const { tag, seal } = keysOf(SECRET, SERVER_ID, STEP);
  const nonce = packet.subarray(8, 32);
  const otherTag = keysOf(OTHER_SECRET, SERVER_ID, STEP).tag;
  const cases: [string, Buffer, Drop][] = [
    ["nothing", Buffer.alloc(0), "form"],
    ["cut short by one byte", packet.subarray(0, 143), "form"],
    ["longer by one byte", Buffer.concat([packet, Buffer.alloc(1)]), "form"],
    ["only the tag", packet.subarray(0, 8), "form"],
    ["twice in one datagram", Buffer.concat([packet, packet]), "form"],
    ["a request of 95 bytes, sealed", sealed("95 bytes", open.subarray(0, 95)), "form"],
    ["a request of 97 bytes, sealed", sealed("97 bytes", Buffer.concat([open, Buffer.alloc(1)])), "form"],
    ["144 zeros", Buffer.alloc(144), "tag"],
    ["made by another device", sealed("other device", open, OTHER_SECRET), "tag"],
    ["made for another server", sealed("other server", open, SECRET, OTHER_SERVER_ID), "tag"],
    [
      "made with the keys of the step before",
      sealed("step before", open, SECRET, SERVER_ID, STEP - 1),
      "tag",
    ],
    ["made with the keys of the step after", sealed("step after", open, SECRET, SERVER_ID, STEP + 1), "tag"],
    ["first bit of the tag flipped", flipBit(packet, 0), "tag"],
    ["last bit of the tag flipped", flipBit(packet, 63), "tag"],
    ["first bit of the nonce flipped", flipBit(packet, 64), "seal"],
    ["last bit of the nonce flipped", flipBit(packet, 255), "seal"],
    ["first bit of the ciphertext flipped", flipBit(packet, 256), "seal"],
    ["last bit of the ciphertext flipped", flipBit(packet, 1023), "seal"],
    ["first bit of the MAC flipped", flipBit(packet, 1024), "seal"],
    ["last bit of the MAC flipped", flipBit(packet, 1151), "seal"],
    ["MAC of zeros", Buffer.concat([packet.subarray(0, 128), Buffer.alloc(16)]), "seal"],
    [
      "right tag before another device's packet",
      Buffer.concat([tag, sealed("x", open, OTHER_SECRET).subarray(8)]),
      "seal",
    ],
    ["sealed without the tag as additional data", unbound(tag, nonce, seal, Buffer.alloc(0), open), "seal"],
    ["sealed with another tag as additional data", unbound(tag, nonce, seal, otherTag, open), "seal"],
    [
      "sealed with the key of the reply",
      unbound(tag, nonce, keysOf(SECRET, SERVER_ID, STEP).ack, tag, open),
      "seal",
    ],
  ];
  const timed: [string, number][] = [
    ["sent at the last millisecond of the step before", STEP_FIRST - 1],
    ["sent at the first millisecond of the step after", STEP_FIRST + 30_000],
    ["sent at time 0, keys of today", 0],
    ["sent an hour ahead of the keys", NOW + 3_600_000],
  ];
  return [
    ...cases.map(([what, bad, stage]) => entry(what, STEP, null, bad, drop(stage))),
    ...timed.map(([what, sentAt]) => {
      const request = plaintext({ ...OPEN, sentAt });
      return entry(what, STEP, request, sealed(what, request), drop("time"));
    }),
  ];
}

function unbound(tag: Buffer, nonce: Buffer, key: Buffer, aad: Buffer, request: Buffer): Buffer {
  return Buffer.concat([tag, nonce, aeadSeal(key, nonce, aad, request)]);
}
