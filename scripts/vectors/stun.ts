import { isIPv4 } from "node:net";
import { keysOf, plainBase64, SECRET, SERVER_ID, STEP, withByte } from "./inputs.ts";
import { sealed } from "./packets.ts";
import { bytes, crc32, hmacSha1, sample, uint, utf8 } from "./primitives.ts";
import { address16, OPEN, plaintext } from "./requests.ts";

const PACKET = sealed("open ssh", plaintext(OPEN));
const UFRAG = PACKET.toString("base64");
const PASSWORD = plainBase64(keysOf(SECRET, SERVER_ID, STEP).ice);
const TRANSACTION = sample("tock vectors: transaction", 12);
const TIE_BREAKER = sample("tock vectors: tie-breaker", 8);

/** RFC 8489 §14: type, length, value, and `pad` up to four bytes. */
function attribute(type: number, value: Buffer, pad = 0): Buffer {
  return Buffer.concat([
    uint(type, 2),
    uint(value.length, 2),
    value,
    Buffer.alloc((4 - (value.length % 4)) % 4, pad),
  ]);
}

function header(type: number, length: number): Buffer {
  return Buffer.concat([uint(type, 2), uint(length, 2), bytes("2112a442"), TRANSACTION]);
}

function message(type: number, ...attributes: Buffer[]): Buffer {
  const all = Buffer.concat(attributes);
  return Buffer.concat([header(type, all.length), all]);
}

/** The attributes, then MESSAGE-INTEGRITY (RFC 8489 §14.5) and FINGERPRINT (§14.7). */
function finished(type: number, password: string, ...attributes: Buffer[]): Buffer {
  const body = Buffer.concat(attributes);
  const covered = Buffer.concat([header(type, body.length + 24), body]);
  const signed = Buffer.concat([
    header(type, body.length + 32),
    body,
    attribute(0x0008, hmacSha1(utf8(password), covered)),
  ]);
  return Buffer.concat([signed, attribute(0x8028, uint((crc32(signed) ^ 0x5354554e) >>> 0, 4))]);
}

const USERNAME = 0x0006;
const user = (name: string): Buffer => attribute(USERNAME, utf8(name));
const controlling = attribute(0x802a, TIE_BREAKER);
const priority = attribute(0x0024, bytes("6e001eff"));
const useCandidate = attribute(0x0025, Buffer.alloc(0));
const networkInfo = attribute(0xc057, bytes("00010032"));
const software = attribute(0x8022, utf8("some client"), 0x20);

/** Binding Requests. `packet` is what they carry, null = no packet in it. */
export function stunRequests(): object[] {
  const plain = finished(0x0001, PASSWORD, user(`${UFRAG}:hD4k`), controlling, priority);
  const good: [string, Buffer][] = [
    ["as tock sends it", plain],
    [
      "as Chromium lays it out",
      finished(0x0001, PASSWORD, user(`${UFRAG}:hD4k`), networkInfo, controlling, useCandidate, priority),
    ],
    [
      "as Firefox lays it out",
      finished(0x0001, PASSWORD, user(`${UFRAG}:5c1b3e77`), priority, useCandidate, controlling),
    ],
    ["user name last", finished(0x0001, PASSWORD, software, priority, controlling, user(`${UFRAG}:hD4k`))],
    ["no integrity, no fingerprint", message(0x0001, user(`${UFRAG}:hD4k`))],
    ["wrong password: the packet has its own seal", finished(0x0001, "x".repeat(24), user(`${UFRAG}:hD4k`))],
    ["nothing after the colon", message(0x0001, user(`${UFRAG}:`))],
    ["a colon after the colon", message(0x0001, user(`${UFRAG}:ab:cd`))],
    ["two user names, the first counts", message(0x0001, user(`${UFRAG}:hD4k`), user("a:b"))],
    ["bytes of padding that are not zero", message(0x0001, attribute(USERNAME, utf8(`${UFRAG}:hD4k`), 0x20))],
    ["damage after the user name", withByte(plain, 20 + 4 + 200 + 3, 0xff)],
    ["600 bytes", message(0x0001, user(`${UFRAG}:hD4k`), attribute(0x8022, Buffer.alloc(372, 0x20)))],
  ];
  return [
    ...good.map(([name, data]) => request(name, data, PACKET)),
    ...badRequests(plain).map(([name, data]) => request(name, data, null)),
  ];
}

function request(name: string, data: Buffer, packet: Buffer | null): object {
  return {
    name,
    message: data.toString("hex"),
    transactionId: packet === null ? null : TRANSACTION.toString("hex"),
    packet: packet?.toString("hex") ?? null,
  };
}

function badRequests(plain: Buffer): [string, Buffer][] {
  const swapped = (name: string): Buffer => message(0x0001, user(name));
  return [
    ["nothing", Buffer.alloc(0)],
    ["only a header", header(0x0001, 0)],
    ["no user name", finished(0x0001, PASSWORD, priority, controlling)],
    ["length field too small by 4", withByte(plain, 3, plain[3]! - 4)],
    ["length field too large by 4", withByte(plain, 3, plain[3]! + 4)],
    ["length field of zero", withByte(withByte(plain, 2, 0), 3, 0)],
    ["4 bytes after the end", Buffer.concat([plain, Buffer.alloc(4)])],
    ["cut short by one byte", plain.subarray(0, -1)],
    ["no magic cookie", withByte(plain, 4, 0)],
    ["last byte of the magic cookie off by one", withByte(plain, 7, 0x43)],
    ["Binding Indication", withByte(plain, 1, 0x11)],
    ["Binding Success Response", finished(0x0101, PASSWORD, user(`${UFRAG}:hD4k`))],
    ["Allocate Request", withByte(plain, 1, 0x03)],
    ["first two bits not zero", withByte(plain, 0, 0x40)],
    ["attribute before the user name runs over the end", overrun(plain)],
    ["user name runs over the end", withByte(message(0x0001, user(`${UFRAG}:hD4k`)), 22, 1)],
    ["604 bytes", message(0x0001, user(`${UFRAG}:hD4k`), attribute(0x8022, Buffer.alloc(376, 0x20)))],
    ["no colon", swapped(UFRAG)],
    ["another character for the colon", swapped(`${UFRAG};hD4k`)],
    ["191 characters before the colon", swapped(`${UFRAG.slice(1)}:hD4k`)],
    ["193 characters before the colon", swapped(`A${UFRAG}:hD4k`)],
    ["188 characters and padding", swapped(`${UFRAG.slice(0, 190)}==:hD4k`)],
    ["local and remote name swapped", swapped(`hD4k:${UFRAG}`)],
    ["short names", swapped("evtj:h6vY")],
    ["a character of base64url", swapped(`-${UFRAG.slice(1)}:hD4k`)],
    ["a space in the base64", swapped(` ${UFRAG.slice(1)}:hD4k`)],
    ["a line feed in the base64", swapped(`${UFRAG.slice(0, 100)}\n${UFRAG.slice(101)}:hD4k`)],
    ["a byte over 127 in the base64", withByte(plain, 30, 0xc1)],
    ["a zero byte in the base64", withByte(plain, 30, 0)],
    ["short first user name, good second", message(0x0001, user("a:b"), user(`${UFRAG}:hD4k`))],
  ];
}

/** An attribute of another type that claims more bytes than the message has, with the user name inside it. */
function overrun(plain: Buffer): Buffer {
  const inner = plain.subarray(20);
  const bad = Buffer.concat([uint(0x8022, 2), uint(inner.length + 4, 2), inner]);
  return Buffer.concat([header(0x0001, bad.length), bad]);
}

/** Binding Success Responses, and what `decode` under the transaction and password gives; null = no answer to it. */
export function stunSuccesses(): object[] {
  const v4 = { source: "192.0.2.33", sourcePort: 50022 };
  const v6 = { source: "2001:db8::1:2", sourcePort: 65535 };
  const good = success(v4.source, v4.sourcePort);
  const mapped = xorMapped(v4.source, v4.sourcePort);
  const bad: [string, Buffer][] = [
    ["nothing", Buffer.alloc(0)],
    ["cut short by 4 bytes", good.subarray(0, -4)],
    ["4 bytes after the end", Buffer.concat([good, Buffer.alloc(4)])],
    ["another address", withByte(good, 31, good[31]! ^ 1)],
    ["another port", withByte(good, 27, good[27]! ^ 1)],
    ["another transaction", withByte(good, 8, good[8]! ^ 1)],
    ["integrity off by one bit", withByte(good, 40, good[40]! ^ 1)],
    ["fingerprint off by one bit", withByte(good, good.length - 1, good.at(-1)! ^ 1)],
    ["another password", finished(0x0101, "x".repeat(24), mapped)],
    ["no integrity", message(0x0101, mapped)],
    ["no address", finished(0x0101, PASSWORD)],
    ["family 3", finished(0x0101, PASSWORD, withByte(mapped, 5, 3))],
    ["IPv6 family with an IPv4 address", finished(0x0101, PASSWORD, withByte(mapped, 5, 2))],
    ["Binding Error Response", finished(0x0111, PASSWORD, mapped)],
    ["Binding Request", finished(0x0001, PASSWORD, mapped)],
    ["another attribute in it", finished(0x0101, PASSWORD, software, mapped)],
  ];
  return [
    response("IPv4", success(v4.source, v4.sourcePort), v4),
    response("IPv6", success(v6.source, v6.sourcePort), v6),
    response("IPv4, opened for 30 s", success(v4.source, 30), { ...v4, sourcePort: 30 }),
    response("IPv6, refused", success(v6.source, 0xff01), { ...v6, sourcePort: 0xff01 }),
    ...bad.map(([name, data]) => response(name, data, null)),
  ];
}

function success(source: string, sourcePort: number): Buffer {
  return finished(0x0101, PASSWORD, xorMapped(source, sourcePort));
}

/** RFC 8489 §14.2. */
function xorMapped(source: string, port: number): Buffer {
  const mask = Buffer.concat([bytes("2112a442"), TRANSACTION]);
  const address = isIPv4(source) ? address16(source).subarray(12) : address16(source);
  const hidden = address.map((byte, index) => byte ^ mask[index]!);
  return attribute(0x0020, Buffer.concat([uint(isIPv4(source) ? 1 : 2, 2), uint(port ^ 0x2112, 2), hidden]));
}

function response(name: string, data: Buffer, from: { source: string; sourcePort: number } | null): object {
  return {
    name,
    transactionId: TRANSACTION.toString("hex"),
    icePassword: PASSWORD,
    message: data.toString("hex"),
    source: from?.source ?? null,
    sourcePort: from?.sourcePort ?? null,
  };
}
