import * as fc from "fast-check";
import { afterAll, beforeEach, expect, test } from "vitest";
import { encodeStunRequest } from "../../../shared/stun.ts";
import { udpFrame } from "../../lab/frame.ts";
import { FilterProbe } from "../../support/filter-probe.ts";

const probe = new FilterProbe({ spa: 62201, knock: undefined }, { useTags: true });
const { filter } = probe;
afterAll(() => probe[Symbol.dispose]());
beforeEach(() => filter.replace(new Uint8Array(0)));

const families = fc.constantFrom(
  ["192.0.2.7", "192.0.2.1"] as const,
  ["2001:db8::7", "2001:db8::1"] as const,
);
const packets = fc.uint8Array({ minLength: 144, maxLength: 144 });

function datagram([from, to]: readonly [string, string], payload: Uint8Array): Buffer {
  const mac = "02:00:00:00:00:01";
  return udpFrame({ mac, address: from, port: 40000 }, { mac, address: to, port: 62201 }, payload).subarray(
    14,
  );
}

function stun(packet: Uint8Array, before: readonly number[] = []): Buffer {
  const random = { transactionId: new Uint8Array(12), tieBreaker: new Uint8Array(8), localUfrag: "abcd" };
  const message = Buffer.from(encodeStunRequest(packet, "password", random));
  const attributes = before.map((length) => {
    const attribute = Buffer.alloc(4 + length + (-length & 3), 0x06);
    attribute.writeUInt16BE(0x8022, 0);
    attribute.writeUInt16BE(length, 2);
    return attribute;
  });
  const all = Buffer.concat([message.subarray(0, 20), ...attributes, message.subarray(20)]);
  all.writeUInt16BE(all.length - 20, 2);
  return all;
}

const forms = fc.oneof(
  fc.constant((packet: Uint8Array) => Buffer.from(packet)),
  fc
    .array(fc.nat({ max: 40 }), { maxLength: 5 })
    .map((before) => (packet: Uint8Array) => stun(packet, before)),
);

test("a packet passes when, and only when, its tag is known, in every form", () => {
  fc.assert(
    fc.property(families, forms, packets, fc.nat({ max: 63 }), (family, form, packet, bit) => {
      const tag = packet.slice(0, 8);
      const frame = datagram(family, form(packet));
      filter.add(tag);
      expect(probe.keeps(frame)).toBe(true);
      filter.remove(tag);
      expect(probe.keeps(frame)).toBe(false);
      tag[bit >> 3] = (tag[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      filter.add(tag);
      expect(probe.keeps(frame)).toBe(false);
      filter.remove(tag);
    }),
    { numRuns: 500 },
  );
});

test("every character of a user name is read as base64 says, and no other passes", () => {
  const packet = new Uint8Array(144);
  const message = stun(packet);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (let code = 0; code < 256; code++) {
    const value = alphabet.indexOf(String.fromCharCode(code));
    const place = code % 10;
    const copy = Buffer.from(message);
    copy.writeUInt8(code, 24 + place);
    const values = value >= 0 ? [value] : Array.from({ length: 64 }, (_, each) => each);
    filter.replace(Buffer.concat(values.map((each) => tagWithDigit(place, each))));
    const kept = probe.keeps(datagram(["192.0.2.7", "192.0.2.1"], copy));
    expect(kept, `character ${code}`).toBe(value >= 0);
  }
});

test("a user name behind as many attributes as fit is still found", () => {
  const packet = new Uint8Array(144).fill(9);
  filter.add(packet.slice(0, 8));
  const name = stun(packet).subarray(20, 20 + 4 + 200);
  name.writeUInt16BE(193, 2);
  const empty = new Array<number>(95).fill(0);
  const full = Buffer.concat([stun(packet, empty).subarray(0, 20 + 95 * 4), name.subarray(0, 200)]);
  full.writeUInt16BE(full.length - 20, 2);
  expect(full).toHaveLength(600);
  expect(probe.keeps(datagram(["192.0.2.7", "192.0.2.1"], full))).toBe(true);
});

test("a set of tags grows, shrinks and is replaced, whatever else is asked of it", () => {
  const range = (first: number, last: number, step = 1): number[] =>
    Array.from({ length: Math.ceil((last - first) / step) }, (_, index) => first + index * step);
  const pack = (values: readonly number[]): Buffer =>
    Buffer.concat(values.map((value) => packetOf(value).subarray(0, 8)));
  const known = (): number[] =>
    range(0, 4000).filter((value) => probe.keeps(datagram(["192.0.2.7", "192.0.2.1"], packetOf(value))));
  filter.add(pack(range(0, 700)));
  expect(known()).toEqual(range(0, 700));
  filter.add(pack(range(500, 3000))); // beyond the 1,024 that it has room for at first
  expect(known()).toEqual(range(0, 3000));
  filter.remove(pack([3500, 0, 1, 3501, 3502, 2, 3, 3503]));
  expect(known()).toEqual(range(4, 3000));
  filter.remove(pack(range(0, 4000, 2)));
  expect(known()).toEqual(range(5, 3000, 2));
  filter.replace(pack([7, 3999]));
  expect(known()).toEqual([7, 3999]);
  expect(filter.kind).toBe("ebpf");
});

test("half a tag is refused", () => {
  for (const change of ["add", "remove", "replace"] as const) {
    expect(() => filter[change](new Uint8Array(12))).toThrow("tags: expected a multiple of 8 bytes, got 12");
  }
});

function packetOf(value: number): Uint8Array {
  const packet = Buffer.alloc(144);
  packet.writeUInt32BE((value * 2654435761) % 2 ** 32, 0);
  packet.writeUInt32BE(value, 4);
  return packet;
}

/** A tag of zero bits but for one base64 digit, counted from its start. */
function tagWithDigit(place: number, value: number): Uint8Array {
  const tag = new Uint8Array(8);
  for (let bit = 0; bit < 6; bit++) {
    const at = place * 6 + bit;
    tag[at >> 3] = (tag[at >> 3] ?? 0) | (((value >> (5 - bit)) & 1) << (7 - (at & 7)));
  }
  return tag;
}
