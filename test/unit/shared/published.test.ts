import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { HOTP, Secret as OtpSecret } from "otpauth";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../../shared/address.ts";
import { unixMillis } from "../../../shared/brand.ts";
import { hex } from "../../../shared/bytes.ts";
import { unwrap } from "../../../shared/result.ts";
import { publicKey } from "../../../shared/rotation.ts";
import { Secret } from "../../../shared/secret.ts";
import { decodeStunRequest, encodeStunSuccess } from "../../../shared/stun.ts";
import { stepAt } from "../../../shared/time-step.ts";
import { unhex, vectors } from "../../support/vectors.ts";

// What others published, against the functions that shared/ is built on and, where one fits, shared/ itself.

type Text = Record<string, string>;
interface Published {
  readonly hkdf: (Text & { length: never })[];
  readonly totp: {
    secret: string;
    digits: number;
    values: { seconds: number; step: number; code: string }[];
  };
  readonly xchacha20poly1305: Text;
  readonly x25519: Text;
  readonly stun: {
    name: string;
    transactionId: string;
    message: string;
    source?: string;
    sourcePort?: number;
    xorMappedAddress?: string;
  }[];
}
const published = vectors("published") as Published;
const field = (entry: Text, name: string): Uint8Array => unhex(entry[name]!);

test.for(published.hkdf)("$name", (entry) => {
  const prk = extract(sha256, field(entry, "ikm"), field(entry, "salt"));
  expect(hex(prk)).toBe(entry["prk"]);
  expect(hex(expand(sha256, prk, field(entry, "info"), entry.length))).toBe(entry["okm"]);
});

describe("RFC 6238 Appendix B", () => {
  test.for(published.totp.values)("at $seconds s", ({ seconds, step, code }) => {
    expect(stepAt(unixMillis(seconds * 1000))).toBe(step);
    const secret = new OtpSecret({ buffer: unhex(published.totp.secret).slice().buffer });
    expect(HOTP.generate({ secret, algorithm: "SHA1", digits: published.totp.digits, counter: step })).toBe(
      code,
    );
  });
});

test("XChaCha20-Poly1305, draft-irtf-cfrg-xchacha-03 A.3.1", () => {
  const entry = published.xchacha20poly1305;
  const aead = xchacha20poly1305(field(entry, "key"), field(entry, "nonce"), field(entry, "aad"));
  expect(hex(aead.encrypt(field(entry, "plaintext")))).toBe(entry["sealed"]);
  expect(hex(aead.decrypt(field(entry, "sealed")))).toBe(entry["plaintext"]);
});

test("X25519, RFC 7748 §6.1", () => {
  const entry = published.x25519;
  expect(hex(publicKey(new Secret(field(entry, "aliceSecret"))))).toBe(entry["alicePublic"]);
  expect(hex(publicKey(new Secret(field(entry, "bobSecret"))))).toBe(entry["bobPublic"]);
  expect(hex(x25519.getSharedSecret(field(entry, "aliceSecret"), field(entry, "bobPublic")))).toBe(
    entry["shared"],
  );
  expect(hex(x25519.getSharedSecret(field(entry, "bobSecret"), field(entry, "alicePublic")))).toBe(
    entry["shared"],
  );
});

describe("RFC 5769", () => {
  test.for(published.stun.filter(({ source }) => source !== undefined))(
    "$name: the mapped address",
    (entry) => {
      const source = unwrap(parseAddress(entry.source!));
      const message = encodeStunSuccess(unhex(entry.transactionId), source, entry.sourcePort!, "password");
      expect(hex(message.subarray(24, 24 + entry.xorMappedAddress!.length / 2))).toBe(entry.xorMappedAddress);
    },
  );

  test.for(published.stun)("$name holds no packet", ({ message }) => {
    expect(decodeStunRequest(unhex(message))).toBeUndefined();
  });
});
