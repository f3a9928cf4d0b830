import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  ascii,
  base64,
  base64url,
  concat,
  fromBase64,
  fromBase64url,
  fromHex,
  hex,
  u64,
} from "../../../shared/bytes.ts";

const bytes = fc.uint8Array({ maxLength: 200 });
const plain = (text: string): string => text.replaceAll("=", "");

test("base64, base64url and hex are what Node writes, and come back", () => {
  fc.assert(
    fc.property(bytes, (value) => {
      const node = Buffer.from(value);
      expect(base64(value)).toBe(plain(node.toString("base64")));
      expect(base64url(value)).toBe(node.toString("base64url"));
      expect(hex(value)).toBe(node.toString("hex"));
      expect(fromBase64(ascii(base64(value)))).toEqual(value);
      expect(fromBase64url(base64url(value))).toEqual(value);
      expect(fromHex(hex(value))).toEqual(value);
    }),
  );
});

test("one value has one text: whatever decodes is what encoding gives", () => {
  const alphabet = fc.constantFrom(..."ABYZabyz0189+/-_= \n.");
  const text = fc.array(alphabet, { maxLength: 12 }).map((list) => list.join(""));
  fc.assert(
    fc.property(text, (value) => {
      const decoded = fromBase64(ascii(value));
      if (decoded !== undefined) expect(base64(decoded)).toBe(value);
      const url = fromBase64url(value);
      if (url !== undefined) expect(base64url(url)).toBe(value);
    }),
    { numRuns: 2000 },
  );
});

test("of the 64 last characters, only those without spare bits decode", () => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const accepted = (start: string): number => {
    return [...alphabet].filter((last) => fromBase64(ascii(start + last)) !== undefined).length;
  };
  expect(accepted("A")).toBe(4);
  expect(accepted("AA")).toBe(16);
  expect(accepted("AAA")).toBe(64);
  expect(accepted("")).toBe(0);
  expect(accepted("AAAA")).toBe(0);
});

test("no byte but the 64 of the alphabet decodes", () => {
  const good = Array.from(
    { length: 256 },
    (_, code) => fromBase64(Uint8Array.of(65, code, 65, 65)) !== undefined,
  );
  expect(good.filter(Boolean).length).toBe(64);
});

test("u64 is 8 bytes, big-endian, over the whole range of safe integers", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      expect(BigInt(`0x${hex(u64(value))}`)).toBe(BigInt(value));
      expect(u64(value).length).toBe(8);
    }),
  );
});

test("concat copies its parts", () => {
  const part = Uint8Array.of(1, 2);
  const all = concat(part, part, new Uint8Array());
  part[0] = 9;
  expect(all).toEqual(Uint8Array.of(1, 2, 1, 2));
});
