import { describe, expect, test } from "vitest";
import { openPcap, readPcap } from "../../../server/capture/pcap.ts";
import { type CapturePlan, payloadOf, sourceOf } from "../../../server/core/frame.ts";
import { unwrap } from "../../../shared/result.ts";
import { udpFrame } from "../../lab/frame.ts";

const PLAN: CapturePlan = { spa: 62201, knock: undefined };
const mac = "02:00:00:00:00:01";
const from = { mac, address: "192.0.2.7", port: 40000 };
const to = { mac, address: "192.0.2.1", port: 62201 };
const packet = udpFrame(from, to, Buffer.alloc(144, 5)).subarray(14);
const from6 = { ...from, address: "2001:db8::7" };
const packet6 = udpFrame(from6, { ...to, address: "2001:db8::1" }, Buffer.alloc(144, 6)).subarray(14);

interface Shape {
  readonly little: boolean;
  readonly nano: boolean;
}

/** A capture file of frames at 1,700,000,000.123456 (and 789 ns) seconds. */
function pcap(
  link: number,
  frames: readonly Uint8Array[],
  { little, nano }: Shape = { little: true, nano: false },
): Buffer {
  const words = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 4);
    for (const [index, value] of values.entries()) {
      if (little) bytes.writeUInt32LE(value, index * 4);
      else bytes.writeUInt32BE(value, index * 4);
    }
    return bytes;
  };
  const version = little ? 0x00040002 : 0x00020004;
  const header = words(nano ? 0xa1b23c4d : 0xa1b2c3d4, version, 0, 0, 65535, link);
  const fraction = nano ? 123456789 : 123456;
  const records = frames.flatMap((frame) => [
    words(1_700_000_000, fraction, frame.length, frame.length),
    frame,
  ]);
  return Buffer.concat([header, ...records]);
}

function ethernet(type: number, data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.alloc(12), Buffer.from([type >> 8, type & 0xff]), data]);
}

/** 802.1Q: the tag's value, then the type of what follows. */
function tag(type: number, data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([0x00, 0x05, type >> 8, type & 0xff]), data]);
}

function found(file: Uint8Array): Buffer[] {
  const packets: Buffer[] = [];
  const read = readPcap(file, (at, length) => packets.push(Buffer.from(file.subarray(at, at + length))));
  expect(read).toEqual({ ok: true, value: undefined });
  return packets;
}

const sll = Buffer.alloc(14);
const sll2Rest = Buffer.alloc(18);
const links: [string, number, (type: number, data: Uint8Array) => Buffer][] = [
  ["Ethernet", 1, ethernet],
  ["cooked v1", 113, (type, data) => Buffer.concat([sll, Buffer.from([type >> 8, type & 0xff]), data])],
  ["cooked v2", 276, (type, data) => Buffer.concat([Buffer.from([type >> 8, type & 0xff]), sll2Rest, data])],
];

describe.each(links)("%s", (_, link, wrap) => {
  test("gives IP packets and steps over the rest", () => {
    const frames = [
      wrap(0x0806, Buffer.alloc(28)),
      wrap(0x0800, packet),
      wrap(0x86dd, packet6),
      wrap(0x88cc, packet),
    ];
    expect(found(pcap(link, frames))).toEqual([packet, packet6]);
  });

  test("steps over VLAN tags, two of them as well", () => {
    const frames = [wrap(0x8100, tag(0x0800, packet)), wrap(0x88a8, tag(0x8100, tag(0x86dd, packet6)))];
    expect(found(pcap(link, frames))).toEqual([packet, packet6]);
  });

  test("frames cut short anywhere give no packet beyond them", () => {
    const whole = wrap(0x8100, tag(0x0800, packet));
    for (let length = 0; length < whole.length; length++) {
      for (const part of found(pcap(link, [whole.subarray(0, length)]))) {
        expect(packet.subarray(0, part.length)).toEqual(part);
      }
    }
  });
});

test.each([12, 101])("link type %i holds bare IP packets", (link) => {
  expect(found(pcap(link, [packet, packet6]))).toEqual([packet, packet6]);
});

test.each([
  { little: true, nano: false },
  { little: true, nano: true },
  { little: false, nano: false },
  { little: false, nano: true },
])("byte order and resolution: %o", (shape) => {
  const times: number[] = [];
  unwrap(readPcap(pcap(101, [packet, packet], shape), (_at, _length, time) => times.push(time)));
  const expected = 1_700_000_000_123.456 + (shape.nano ? 0.000789 : 0);
  expect(times).toHaveLength(2);
  for (const time of times) expect(time).toBeCloseTo(expected, 3);
});

test("flags above the link type are not part of it", () => {
  expect(found(pcap(0x14000000 | 1, [ethernet(0x0800, packet)]))).toEqual([packet]);
});

test("a file that is none is refused with a hint", () => {
  const pcapng = Buffer.alloc(64);
  pcapng.writeUInt32LE(0x0a0d0d0a);
  for (const file of [Buffer.alloc(0), Buffer.alloc(23), pcapng]) {
    expect(readPcap(file, () => undefined)).toMatchObject({
      ok: false,
      error: {
        code: "invalid",
        message: "capture file: expected a pcap file",
        hint: "pcapng is not read: convert it with editcap -F pcap",
      },
    });
  }
  expect(readPcap(pcap(105, []), () => undefined)).toMatchObject({
    ok: false,
    error: { message: "capture file: expected a link type of 1, 12, 101, 113, 276, got 105" },
  });
});

test("a torn record is refused, at every length; what came before was given", () => {
  const file = pcap(101, [packet, packet]);
  const second = 24 + 16 + packet.length;
  for (let length = second + 1; length < file.length; length++) {
    let count = 0;
    const read = readPcap(file.subarray(0, length), () => count++);
    expect(read, `${length}`).toMatchObject({
      ok: false,
      error: { message: `capture file: torn record at byte ${second}` },
    });
    expect(count).toBe(1);
  }
  const huge = pcap(101, [packet]);
  huge.writeUInt32LE(0xffffffff, 32);
  expect(readPcap(huge, () => undefined)).toMatchObject({ ok: false });
});

test("as a source it delivers what can be ours, and counts the rest", () => {
  const other = udpFrame(from, { ...to, port: 53 }, Buffer.alloc(144)).subarray(14);
  const seen: [string, number, number][] = [];
  const file = Buffer.concat([
    Buffer.alloc(3),
    pcap(101, [other, packet, packet6, packet.subarray(0, 50)]),
  ]).subarray(3);
  const source = unwrap(
    openPcap(file, PLAN, (frame) => {
      seen.push([sourceOf(frame).text, payloadOf(frame)[0] ?? 0, Math.floor(frame.arrivedAt)]);
    }),
  );
  expect(seen).toEqual([
    ["192.0.2.7", 5, 1_700_000_000_123],
    ["2001:db8::7", 6, 1_700_000_000_123],
  ]);
  expect(source.filter).toBe("none");
  expect(source.stats()).toEqual({ received: 4, lost: 0, refused: 2, delivered: 2 });
  expect(openPcap(Buffer.alloc(3), PLAN, () => undefined).ok).toBe(false);
});
