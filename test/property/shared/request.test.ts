import * as fc from "fast-check";
import { expect, test } from "vitest";
import { hex } from "../../../shared/bytes.ts";
import { decodeAnswer, encodeAnswer } from "../../../shared/reply.ts";
import { decodeRequest, encodeRequest } from "../../../shared/request.ts";
import { answer, bytesOf, request } from "./arbitraries.ts";

test("a request comes back as it was", () => {
  fc.assert(
    fc.property(request, (value) => {
      const bytes = encodeRequest(value);
      expect(bytes.length).toBe(96);
      expect(plain(decodeRequest(bytes))).toEqual(plain(value));
    }),
    { numRuns: 500 },
  );
});

test("one request has one encoding: what decodes after a change encodes to those bytes", () => {
  fc.assert(
    fc.property(request, fc.nat(95), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
      const bytes = encodeRequest(value);
      bytes[at] = (bytes[at] ?? 0) ^ change;
      const decoded = decodeRequest(bytes);
      if (decoded !== undefined) expect(hex(encodeRequest(decoded))).toBe(hex(bytes));
    }),
    { numRuns: 3000 },
  );
});

test("any change of version, reserved flags or padding is a drop", () => {
  const places = [0, 2, ...Array.from({ length: 12 }, (_, index) => 84 + index)];
  fc.assert(
    fc.property(
      request,
      fc.constantFrom(...places),
      fc.integer({ min: 1, max: 255 }),
      (value, at, change) => {
        const bytes = encodeRequest(value);
        bytes[at] = (bytes[at] ?? 0) ^ change;
        expect(decodeRequest(bytes)).toBeUndefined();
      },
    ),
  );
});

test("any other length is a drop", () => {
  fc.assert(
    fc.property(request, fc.nat(200), (value, length) => {
      fc.pre(length !== 96);
      const bytes = new Uint8Array(length);
      bytes.set(encodeRequest(value).subarray(0, length));
      expect(decodeRequest(bytes)).toBeUndefined();
    }),
  );
});

test("random bytes never throw, and decode to nothing", () => {
  fc.assert(
    fc.property(bytesOf(96), (bytes) => {
      expect(decodeRequest(bytes)).toBeUndefined();
    }),
  );
});

test("a decoded request keeps none of the buffer that it came from", () => {
  fc.assert(
    fc.property(request, (value) => {
      // A Node Buffer's slice() is a view: copies must be made another way.
      const bytes = Buffer.from(encodeRequest(value));
      const decoded = decodeRequest(bytes);
      bytes.fill(0xee);
      expect(plain(decoded)).toEqual(plain(value));
    }),
  );
});

test("a body of another length is the caller's bug", () => {
  fc.assert(
    fc.property(request, fc.uint8Array({ maxLength: 64 }), (value, body) => {
      fc.pre(body.length !== 32);
      expect(() => encodeRequest({ ...value, type: "rotate", body })).toThrow(RangeError);
    }),
  );
});

test("an answer comes back as it was", () => {
  fc.assert(
    fc.property(answer, (value) => {
      const bytes = encodeAnswer(value);
      expect(bytes.length).toBe(48);
      expect(plain(decodeAnswer(bytes))).toEqual(plain(value));
    }),
  );
});

test("one answer has one encoding", () => {
  fc.assert(
    fc.property(answer, fc.nat(47), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
      const bytes = encodeAnswer(value);
      bytes[at] = (bytes[at] ?? 0) ^ change;
      const decoded = decodeAnswer(bytes);
      if (decoded !== undefined) expect(hex(encodeAnswer(decoded))).toBe(hex(bytes));
      if (at === 0 || at === 2 || at >= 30) expect(decoded).toBeUndefined();
    }),
    { numRuns: 2000 },
  );
});

/** Addresses as text and bytes as hexadecimal digits, so that a difference can be read. */
function plain(value: object | undefined): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, item: unknown) => (item instanceof Uint8Array ? hex(item) : item)),
  );
}
