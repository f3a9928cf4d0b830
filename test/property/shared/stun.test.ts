import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat } from "../../../shared/bytes.ts";
import {
  decodeStunRequest,
  decodeStunSuccess,
  encodeStunRequest,
  encodeStunSuccess,
} from "../../../shared/stun.ts";
import { address, bytesOf } from "./arbitraries.ts";

const ICE = "abcdefghijklmnopqrstuvwx";
const localUfrag = fc
  .array(fc.constantFrom(..."abcXYZ019+/"), { minLength: 4, maxLength: 32 })
  .map((list) => list.join(""));
const random = fc.record({ transactionId: bytesOf(12), tieBreaker: bytesOf(8), localUfrag });

test("a request gives its packet and transaction, wherever in a buffer it lies", () => {
  fc.assert(
    fc.property(bytesOf(144), random, fc.nat(7), (packet, random, offset) => {
      const message = encodeStunRequest(packet, ICE, random);
      // A Node Buffer, as sockets give them: its slice() is a view.
      const buffer = Buffer.from(
        concat(new Uint8Array(offset).fill(0xaa), message, new Uint8Array(9).fill(0xaa)),
      );
      const decoded = decodeStunRequest(buffer.subarray(offset, offset + message.length));
      expect(decoded).toEqual({ packet, transactionId: random.transactionId });
      buffer.fill(0);
      expect(decoded).toEqual({ packet, transactionId: random.transactionId });
    }),
  );
});

test("a success gives its address and port", () => {
  fc.assert(
    fc.property(
      bytesOf(12),
      address,
      fc.integer({ min: 0, max: 65535 }),
      (transactionId, source, sourcePort) => {
        const message = encodeStunSuccess(transactionId, source, sourcePort, ICE);
        const decoded = decodeStunSuccess(message, transactionId, ICE);
        expect(decoded?.source.text).toBe(source.text);
        expect(decoded?.sourcePort).toBe(sourcePort);
      },
    ),
  );
});

test("a success is never longer than the request that it answers", () => {
  fc.assert(
    fc.property(bytesOf(144), random, address, (packet, random, source) => {
      const request = encodeStunRequest(packet, ICE, random);
      expect(encodeStunSuccess(random.transactionId, source, 1, ICE).length).toBeLessThan(request.length);
    }),
  );
});

test("every single-bit flip of a success is refused", () => {
  fc.assert(
    fc.property(bytesOf(12), address, (transactionId, source) => {
      const message = encodeStunSuccess(transactionId, source, 50022, ICE);
      for (let bit = 0; bit < message.length * 8; bit++) {
        const changed = message.slice();
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        if (decodeStunSuccess(changed, transactionId, ICE) !== undefined)
          expect.fail(`bit ${bit} went unnoticed`);
      }
    }),
    { numRuns: 4 },
  );
});

describe("never throws", () => {
  const header = (type: number) => (body: Uint8Array) => {
    const bytes = concat(Uint8Array.of(0, 0, 0, 0, 0x21, 0x12, 0xa4, 0x42), new Uint8Array(12), body);
    new DataView(bytes.buffer).setUint16(0, type);
    new DataView(bytes.buffer).setUint16(2, bytes.length - 20);
    return bytes;
  };
  const attribute = fc
    .tuple(fc.constantFrom(6, 8, 0x20, 0x24, 0x8028, 0xffff), fc.nat(300), fc.uint8Array({ maxLength: 300 }))
    .map(([type, length, value]) =>
      concat(Uint8Array.of(type >> 8, type & 0xff, length >> 8, length & 0xff), value),
    );
  const attributes = fc.array(attribute, { maxLength: 5 }).map((list) => {
    const all = concat(...list);
    return all.subarray(0, all.length - (all.length % 4));
  });

  test("on random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
        expect(decodeStunRequest(bytes)).toBeUndefined();
        expect(decodeStunSuccess(bytes, new Uint8Array(12), ICE)).toBeUndefined();
      }),
    );
  });

  test("on well-formed headers with attributes of any length", () => {
    fc.assert(
      fc.property(attributes, (body) => {
        expect(decodeStunRequest(header(0x0001)(body))).toBeUndefined();
        expect(decodeStunSuccess(header(0x0101)(body), new Uint8Array(12), ICE)).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });

  test("on a good request with bytes changed: it gives that packet, another, or nothing", () => {
    fc.assert(
      fc.property(bytesOf(144), random, fc.nat(299), fc.nat(255), (packet, random, at, value) => {
        const message = encodeStunRequest(packet, ICE, random);
        message[at % message.length] = value;
        const decoded = decodeStunRequest(message);
        if (decoded !== undefined) expect(decoded.packet.length).toBe(144);
      }),
      { numRuns: 2000 },
    );
  });
});
