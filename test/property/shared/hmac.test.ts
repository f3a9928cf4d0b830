import * as fc from "fast-check";
import { createHmac, hkdfSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { TimeStep } from "../../../shared/brand.ts";
import { hmac, hmacKey, STATE_WORDS } from "../../../shared/hmac.ts";
import { info, KeySchedule, LABEL_BYTES, type Label, salt } from "../../../shared/key-schedule.ts";
import { Secret } from "../../../shared/secret.ts";

const LABELS = Object.keys(LABEL_BYTES) as Label[];
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });

describe("hmac with hashed keys", () => {
  test("is HMAC-SHA256, whatever was done with other keys in between", () => {
    fc.assert(
      fc.property(bytes(0, 64), bytes(0, 64), bytes(0, 55), bytes(0, 55), (key, other, message, more) => {
        const states = new Int32Array(2 * STATE_WORDS);
        hmacKey(key, states, STATE_WORDS);
        hmacKey(other, states, 0);
        const digest = new DataView(new ArrayBuffer(32));
        hmac(states, 0, more, more.length, digest);
        hmac(states, STATE_WORDS, message, message.length, digest);
        const expected = createHmac("sha256", key).update(message).digest("hex");
        expect(Buffer.from(digest.buffer).toString("hex")).toBe(expected);
      }),
    );
  });

  test("refuses what it cannot do in one block", () => {
    const states = new Int32Array(STATE_WORDS);
    expect(() => hmacKey(new Uint8Array(65), states, 0)).toThrow("at most 64 bytes, got 65");
    hmacKey(new Uint8Array(64), states, 0);
    const digest = new DataView(new ArrayBuffer(32));
    expect(() => hmac(states, 0, new Uint8Array(56), 56, digest)).toThrow("at most 55 bytes, got 56");
  });
});

test("the key schedule is HKDF-SHA256 for every label, step and block", () => {
  const step = fc.oneof(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 0, max: 2 ** 53 - 1 }));
  fc.assert(
    fc.property(
      bytes(32, 32),
      bytes(16, 16),
      fc.constantFrom(...LABELS),
      step,
      fc.integer({ min: 0, max: 255 }),
      (secret, serverId, label, step, block) => {
        const made = new KeySchedule(new Secret(secret), serverId).derive(label, step as TimeStep, block);
        const about = info(label, step as TimeStep, block);
        const expected = hkdfSync("sha256", secret, salt(serverId), about, LABEL_BYTES[label]);
        expect(Buffer.from(made).toString("hex")).toBe(Buffer.from(expected).toString("hex"));
      },
    ),
  );
});
