import { deepStrictEqual } from "node:assert";
import { openPcap } from "../../../server/capture/pcap.ts";
import { Frame, parseFrame } from "../../../server/core/frame.ts";
import { decodeTag, findStunPacket } from "../../../server/core/stun-scan.ts";
import { attributesOf, decode, decodeError } from "../../../server/sys/netlink-message.ts";
import { ascii, concat } from "../../../shared/bytes.ts";
import { decodeStunRequest, decodeStunSuccess, isSigned } from "../../../shared/stun.ts";
import { NOW, secretFrom, Sender } from "../../support/core.ts";
import type { Target } from "../loop.ts";

/** What comes from the wire before any secret is looked at. */

const PLAN = { spa: 62_201, knock: { first: 10_000, last: 32_767, transport: "both" } } as const;
const CANARIES = [0x00, 0xff, 0x45];
const BEFORE = 16;

const sender = new Sender(secretFrom("alice/phone"));
const packet = sender.packet();
const stun = sender.stun(packet);

/** A packet means the same whatever lies around it: nothing outside of it was read. */
function frameTarget(input: Uint8Array): void {
  const views = CANARIES.map((canary) => {
    const bytes = new Uint8Array(input.length + 64).fill(canary);
    bytes.set(input, BEFORE);
    const frame = new Frame();
    frame.attach(bytes);
    const fault = parseFrame(frame, BEFORE, input.length, PLAN);
    if (fault !== undefined) return fault;
    const { kind, family, protocol, sourceAt, sourcePort, destinationPort, tcpFlags } = frame;
    const { payloadAt, payloadLength } = frame;
    if (payloadLength < 0 || payloadAt + payloadLength > BEFORE + input.length)
      throw new Error("the payload is not in the packet");
    return {
      kind,
      family,
      protocol,
      sourceAt,
      sourcePort,
      destinationPort,
      tcpFlags,
      payloadAt,
      payloadLength,
    };
  });
  for (const view of views) deepEqual(view, views[0]);
  const [first] = views;
  if (typeof first !== "object") return;
  if (first.kind === "knock") {
    if (first.destinationPort < 10_000 || first.destinationPort > 32_767) throw new Error("not a knock port");
  } else if (first.destinationPort !== 62_201 || first.protocol !== 17) throw new Error("not the SPA port");
}

/** The quick scan finds what the full decoder decodes, and both see the same tag. */
function stunTarget(input: Uint8Array): void {
  const request = decodeStunRequest(input);
  const framed = concat(new Uint8Array(3).fill(0x3a), input, new Uint8Array(3).fill(0x3a));
  const at = findStunPacket(framed, 3, input.length);
  const tag = new Uint8Array(8);
  const isFound = at >= 0 && decodeTag(framed, at, tag);
  if (request !== undefined) {
    if (!isFound) throw new Error("decoded, but the scan did not find it");
    deepEqual([...tag], [...request.packet.subarray(0, 8)]);
    deepEqual(request.packet.length, 144);
  }
  if (isSigned(input, "0123456789abcdefghijklmn")) throw new Error("signed with a key that nobody used");
  if (decodeStunSuccess(input, new Uint8Array(12), "password") !== undefined) throw new Error("forged reply");
}

function pcapTarget(input: Uint8Array): void {
  const seen: string[] = [];
  const source = openPcap(input, PLAN, (frame) => {
    if (frame.payloadAt + frame.payloadLength > input.length) throw new Error("outside of the file");
    seen.push(frame.kind);
  });
  if (source.ok) source.value.close();
}

function netlinkTarget(input: Uint8Array): void {
  for (const message of decode(input)) {
    decodeError(message);
    for (const [, value] of attributesOf(message.body)) attributesOf(value);
  }
}

/** assert's is slow; it is only asked where these differ. */
function deepEqual(a: unknown, b: unknown): void {
  if (a !== b && JSON.stringify(a) !== JSON.stringify(b)) deepStrictEqual(a, b);
}

function udp(payload: Uint8Array, port = 62_201): Uint8Array {
  const length = 8 + payload.length;
  return concat(Uint8Array.of(0x9c, 0x40, port >> 8, port & 255, length >> 8, length & 255, 0, 0), payload);
}

function tcp(port: number): Uint8Array {
  return Uint8Array.of(
    0x9c,
    0x40,
    port >> 8,
    port & 255,
    ...Array.from({ length: 8 }, () => 0),
    0x50,
    2,
    1,
    1,
    0,
    0,
    0,
    0,
  );
}

function v4(protocol: number, body: Uint8Array): Uint8Array {
  const length = 20 + body.length;
  const head = [0x45, 0, length >> 8, length & 255, 0, 1, 0x40, 0, 64, protocol, 0, 0];
  return concat(Uint8Array.of(...head, 192, 0, 2, 7, 192, 0, 2, 1), body);
}

function v6(protocol: number, body: Uint8Array): Uint8Array {
  const head = [0x60, 0, 0, 0, body.length >> 8, body.length & 255, protocol, 64];
  const address = (last: number): number[] => [
    0x20,
    1,
    0x0d,
    0xb8,
    ...Array.from({ length: 11 }, () => 0),
    last,
  ];
  return concat(Uint8Array.of(...head, ...address(7), ...address(1)), body);
}

export const frames = [
  v4(17, udp(packet)),
  v6(17, udp(packet)),
  v4(17, udp(stun)),
  v6(17, udp(stun)),
  v4(6, tcp(20_000)),
  v6(6, tcp(20_000)),
  v4(17, udp(new Uint8Array(0), 20_000)),
];

export function pcapOf(link: number, ...packets: readonly Uint8Array[]): Uint8Array {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt32LE(link, 20);
  const records = packets.map((data) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(Math.floor(NOW / 1000), 0);
    record.writeUInt32LE(data.length, 8);
    record.writeUInt32LE(data.length, 12);
    return concat(record, data);
  });
  return concat(head, ...records);
}

const ethernet = (data: Uint8Array, type = 0x0800): Uint8Array =>
  concat(new Uint8Array(12), Uint8Array.of(type >> 8, type & 255), data);
const tagged = ethernet(concat(Uint8Array.of(0, 1, 8, 0), frames[0]!), 0x8100);

export const FRAME_TARGETS: readonly Target[] = [
  { name: "frame", seeds: frames, words: [packet, stun, udp(packet)], run: frameTarget },
  {
    name: "stun",
    seeds: [stun],
    words: [ascii(":"), Uint8Array.of(0, 6, 0, 197), Uint8Array.of(0x80, 0x28, 0, 4), stun.subarray(20, 224)],
    run: stunTarget,
  },
  {
    name: "pcap",
    seeds: [pcapOf(1, ethernet(frames[0]!), tagged), pcapOf(101, ...frames), pcapOf(113, new Uint8Array(16))],
    words: [Uint8Array.of(0x81, 0), Uint8Array.of(8, 0), frames[0]!],
    run: pcapTarget,
  },
  {
    name: "netlink",
    seeds: [
      Uint8Array.of(
        36,
        0,
        0,
        0,
        2,
        0,
        0,
        3,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        255,
        255,
        255,
        255,
        20,
        0,
        0,
        0,
        1,
        10,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
      ),
    ],
    words: [Uint8Array.of(8, 0, 1, 0x80, 65, 66, 67, 0)],
    run: netlinkTarget,
  },
];
