import { x25519 } from "@noble/curves/ed25519.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { describe, expect, test } from "vitest";
import { concat } from "../../shared/bytes.ts";
import { KeySchedule } from "../../shared/key-schedule.ts";
import { decodeRequest } from "../../shared/request.ts";
import { nextSecret, publicKey } from "../../shared/rotation.ts";
import { openPacket, openReply, packetNonce, sealReply } from "../../shared/seal.ts";
import { Secret } from "../../shared/secret.ts";
import { stepAt } from "../../shared/time-step.ts";
import { bytesFrom, NOW, Sender, SERVER_ID } from "../support/core.ts";

/** Whoever has an old secret and a record of all traffic has everything but the new secret. */

const serverKey = new Secret(bytesFrom("server key", 32));
const ephemeral = new Secret(bytesFrom("ephemeral", 32));
const body = publicKey(ephemeral);
const old = new Secret(bytesFrom("old", 32));
const rotated = nextSecret(old, ephemeral, publicKey(serverKey), body, SERVER_ID);
if (rotated === undefined) throw new Error("no agreement");
const fresh: Secret = rotated;

// What went over the wire: the request to rotate, its reply, and a packet under the new secret.
const keys = new KeySchedule(old, SERVER_ID).keys(stepAt(NOW));
const asking = new Sender(old).packet({ type: "rotate", service: undefined, body });
const answer = sealReply(keys.ack, bytesFrom("nonce", 24), packetNonce(asking), new Uint8Array(48));
const after = new Sender(fresh).packet({});

/** What the attacker can read: the traffic, what the old secret decrypts of it, and what stands in the link. */
const known: Readonly<Record<string, Uint8Array>> = {
  "the old secret": old.expose(),
  "the server's public key": publicKey(serverKey),
  "the ephemeral public key": decodeRequest(openPacket(keys.seal, asking) ?? after)?.body ?? after,
  "the server id": SERVER_ID,
  "the reply": openReply(keys.ack, packetNonce(asking), answer) ?? after,
  "zeros, as from a point of small order": new Uint8Array(32),
};

const utf8 = (text: string) => new TextEncoder().encode(text);
const salt = (label: string) => concat(utf8(label), SERVER_ID);
/** The rotation as the protocol describes it, by itself. */
function derive(shared: Uint8Array, secret: Uint8Array): Uint8Array {
  const r = hkdf(sha256, secret, salt("tock/1"), utf8("rotate"), 32);
  return hkdf(sha256, concat(shared, r), salt("tock/1 rotate"), body, 32);
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("a rotation", () => {
  test("is read off the wire by who has the old secret, the ephemeral public key included", () => {
    expect(hex(known["the ephemeral public key"] ?? after)).toBe(hex(body));
    expect(known["the reply"]).not.toBe(after);
  });

  test("is computed by either private key", () => {
    const server = nextSecret(old, serverKey, body, body, SERVER_ID);
    expect(server?.equals(fresh)).toBe(true);
    const shared = x25519.getSharedSecret(ephemeral.expose(), publicKey(serverKey));
    expect(hex(derive(shared, old.expose()))).toBe(hex(fresh.expose()));
  });

  test("is not computed from anything that the attacker has", () => {
    for (const [name, shared] of Object.entries(known)) {
      for (const secret of Object.values(known)) {
        expect(new Secret(derive(shared, secret)).equals(fresh), name).toBe(false);
      }
      const asKey =
        shared.length === 32
          ? nextSecret(old, new Secret(shared), publicKey(serverKey), body, SERVER_ID)
          : undefined;
      expect(asKey?.equals(fresh) ?? false, name).toBe(false);
    }
  });

  test("leaves neither the new secret nor a key of it anywhere in what can be read", () => {
    const text = [...Object.values(known), asking, answer, after].map(hex).join(" ");
    const next = new KeySchedule(fresh, SERVER_ID).keys(stepAt(NOW));
    for (const secret of [fresh.expose(), next.seal, next.ack, ephemeral.expose(), serverKey.expose()]) {
      expect(text).not.toContain(hex(secret));
    }
  });

  test("makes packets that the old secret does not open", () => {
    expect(openPacket(keys.seal, after)).toBeUndefined();
    expect(openPacket(new KeySchedule(fresh, SERVER_ID).keys(stepAt(NOW)).seal, after)).toBeDefined();
  });

  test("gives another secret each time, though everything else is the same", () => {
    const others = ["a", "b", "c"].map((name) => {
      const one = new Secret(bytesFrom(name, 32));
      return hex(nextSecret(old, one, publicKey(serverKey), publicKey(one), SERVER_ID)?.expose() ?? after);
    });
    expect(new Set([...others, hex(fresh.expose())]).size).toBe(4);
  });
});
