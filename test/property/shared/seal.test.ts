import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openPacket, openReply, packetNonce, sealPacket, sealReply } from "../../../shared/seal.ts";
import { bytesOf } from "./arbitraries.ts";

const keys = fc.record({ tag: bytesOf(8), seal: bytesOf(32) });

test("a packet opens to its request, wherever in a buffer it lies", () => {
  fc.assert(
    fc.property(keys, bytesOf(24), bytesOf(96), fc.nat(7), (key, nonce, request, offset) => {
      const packet = sealPacket(key, nonce, request);
      expect(packet.length).toBe(144);
      expect(packetNonce(packet)).toEqual(nonce);
      const buffer = Buffer.alloc(200, 0xaa);
      buffer.set(packet, offset);
      expect(openPacket(key.seal, buffer.subarray(offset, offset + 144))).toEqual(request);
      expect(new Uint8Array(buffer.subarray(offset, offset + 144))).toEqual(packet);
    }),
  );
});

test("what seals is the library's XChaCha20-Poly1305, however the key lies in memory", () => {
  fc.assert(
    fc.property(keys, bytesOf(24), bytesOf(96), fc.nat(7), (key, nonce, request, offset) => {
      const seal = Buffer.alloc(40).subarray(offset, offset + 32);
      seal.set(key.seal);
      const expected = xchacha20poly1305(key.seal, nonce, key.tag).encrypt(request);
      expect(sealPacket({ ...key, seal }, nonce, request).subarray(32)).toEqual(expected);
    }),
  );
});

test.each([
  [0, 24],
  [31, 24],
  [33, 24],
  [32, 0],
  [32, 12],
  [32, 25],
])("a key of %d bytes and a nonce of %d seal nothing where one is wrong", (key, nonce) => {
  const keys = { tag: new Uint8Array(8), seal: new Uint8Array(key) };
  expect(() => sealPacket(keys, new Uint8Array(nonce), new Uint8Array(96))).toThrow(RangeError);
});

test("a reply opens to its answer, under its key and its packet's nonce alone", () => {
  fc.assert(
    fc.property(
      bytesOf(32),
      bytesOf(24),
      bytesOf(24),
      bytesOf(48),
      bytesOf(32),
      (ack, nonce, request, answer, other) => {
        fc.pre(Buffer.compare(ack, other) !== 0);
        const reply = sealReply(ack, nonce, request, answer);
        expect(reply.length).toBe(88);
        expect(openReply(ack, request, reply)).toEqual(answer);
        expect(openReply(other, request, reply)).toBeUndefined();
        expect(openReply(ack, other.subarray(0, 24), reply)).toBeUndefined();
      },
    ),
  );
});

test("what was sealed with another length does not open, however right its key", () => {
  fc.assert(
    fc.property(keys, bytesOf(24), fc.uint8Array({ maxLength: 200 }), (key, nonce, text) => {
      fc.pre(text.length !== 96 && text.length !== 48);
      expect(openPacket(key.seal, sealPacket(key, nonce, text))).toBeUndefined();
      expect(openReply(key.seal, nonce, sealReply(key.seal, nonce, nonce, text))).toBeUndefined();
    }),
  );
});

describe("every single-bit flip", () => {
  const key = { tag: new Uint8Array(8).fill(1), seal: new Uint8Array(32).fill(2) };
  const nonce = new Uint8Array(24).fill(3);

  test("of a packet fails to open", () => {
    const packet = sealPacket(key, nonce, new Uint8Array(96).fill(4));
    expect(opened(packet, (bytes) => openPacket(key.seal, bytes))).toEqual([]);
  });

  test("of a reply fails to open", () => {
    const reply = sealReply(key.seal, nonce, nonce, new Uint8Array(48).fill(4));
    expect(opened(reply, (bytes) => openReply(key.seal, nonce, bytes))).toEqual([]);
  });

  /** The bits that can be flipped without being noticed. */
  function opened(bytes: Uint8Array, open: (bytes: Uint8Array) => Uint8Array | undefined): number[] {
    expect(open(bytes)).toBeDefined();
    return Array.from({ length: bytes.length * 8 }, (_, bit) => bit).filter((bit) => {
      const changed = bytes.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return open(changed) !== undefined;
    });
  }
});

test("random bytes of any length open nothing and never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytesOf(32), bytesOf(24), (bytes, key, nonce) => {
      expect(openPacket(key, bytes)).toBeUndefined();
      expect(openReply(key, nonce, bytes)).toBeUndefined();
    }),
  );
});
