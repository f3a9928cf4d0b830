import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat } from "../../../shared/bytes.ts";
import { decodeStunRequest } from "../../../shared/stun.ts";
import { decodeTag, findStunPacket } from "../../../server/core/stun-scan.ts";
import { bytesFrom, NOW, Sender, secretFrom } from "../../support/core.ts";

const sender = new Sender(secretFrom("alice/phone"));
const packet = sender.packet();
const message = sender.stun(packet, NOW);

/** What the scan says of a datagram with other bytes around it: the packet's tag, or undefined. */
function scan(message: Uint8Array): Uint8Array | undefined {
  const bytes = concat(bytesFrom("before", 13), message, bytesFrom("after", 200));
  const at = findStunPacket(bytes, 13, message.length);
  const tag = new Uint8Array(8);
  return at >= 0 && decodeTag(bytes, at, tag) ? tag : undefined;
}

/** A change to a message: a byte set, a part cut out, or bytes put in. */
const change = fc.oneof(
  fc.record({ at: fc.nat(message.length - 1), value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ at: fc.nat(40), value: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ from: fc.nat(message.length), length: fc.nat(12) }),
  fc.record({ into: fc.nat(message.length), bytes: fc.uint8Array({ maxLength: 12 }) }),
);
/** Attributes before the user name, of any length and so with any padding. */
const others = fc.array(fc.uint8Array({ maxLength: 9 }), { maxLength: 3 });
function withOthers(values: readonly Uint8Array[]): Uint8Array {
  const attributes = values.map((value) =>
    concat(Uint8Array.of(0x80, 0x22, 0, value.length), value, new Uint8Array(-value.length & 3)),
  );
  const all = concat(message.subarray(0, 20), ...attributes, message.subarray(20));
  new DataView(all.buffer).setUint16(2, all.length - 20);
  return all;
}

const mutated = fc.tuple(fc.array(change, { maxLength: 4 }), fc.boolean()).map(([changes, isMended]) => {
  let bytes: Uint8Array = message.slice();
  for (const change of changes) {
    if ("at" in change) bytes[change.at] = change.value;
    else if ("from" in change) {
      bytes = concat(bytes.subarray(0, change.from), bytes.subarray(change.from + change.length));
    } else bytes = concat(bytes.subarray(0, change.into), change.bytes, bytes.subarray(change.into));
  }
  // The length field put right, so that more than the header is looked at.
  if (isMended && bytes.length >= 20)
    new DataView(bytes.buffer, bytes.byteOffset).setUint16(2, bytes.length - 20);
  return bytes;
});

describe("the STUN scan", () => {
  test("finds the tag of a browser's request", () => {
    expect(scan(message)).toEqual(packet.subarray(0, 8));
  });

  test("finds it behind other attributes", () => {
    fc.assert(
      fc.property(others, (values) => {
        const bytes = withOthers(values);
        expect(decodeStunRequest(bytes)?.packet).toEqual(packet);
        expect(scan(bytes)).toEqual(packet.subarray(0, 8));
      }),
    );
  });

  test("finds a tag in everything that decodes, and the same one", () => {
    let found = 0;
    fc.assert(
      fc.property(mutated, (bytes) => {
        const decoded = decodeStunRequest(bytes);
        if (decoded === undefined) return;
        found++;
        expect(scan(bytes)).toEqual(decoded.packet.subarray(0, 8));
      }),
      { numRuns: 20_000 },
    );
    expect(found).toBeGreaterThan(100);
  });

  test("finds none in what has no user name with a packet", () => {
    fc.assert(
      fc.property(mutated, (bytes) => {
        const tag = scan(bytes);
        // All that the decoder sees beyond the scan is the rest of the text.
        const whole = tag && bytes.slice();
        if (whole === undefined) return;
        whole.set(message.subarray(24 + 11, 24 + 192), textAt(whole) + 11);
        whole[textAt(whole) + 10] = message[24 + 10] ?? 0;
        expect(decodeStunRequest(whole)).toBeDefined();
      }),
      { numRuns: 20_000 },
    );
  });
});

function textAt(message: Uint8Array): number {
  return findStunPacket(message, 0, message.length);
}
