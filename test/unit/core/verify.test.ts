import { describe, expect, test } from "vitest";
import { parsePort, type UnixMillis } from "../../../shared/brand.ts";
import { concat } from "../../../shared/bytes.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { encodeRequest, type Request } from "../../../shared/request.ts";
import { unwrap } from "../../../shared/result.ts";
import { sealPacket } from "../../../shared/seal.ts";
import { stepAt } from "../../../shared/time-step.ts";
import type { Device } from "../../../server/core/device.ts";
import { DeviceTable } from "../../../server/core/device-table.ts";
import { Verifier } from "../../../server/core/verify.ts";
import {
  address,
  bytesFrom,
  later,
  makeDevice,
  makeRequest,
  NOW,
  payloadFrame,
  SEED,
  secretFrom,
  Sender,
  SERVER_ID,
} from "../../support/core.ts";

const device = makeDevice();
const sender = new Sender(device.current.secret);
const packet = sender.packet();

function tableOf(devices: readonly Device[] = [device], skew = { past: 1, future: 1 }): DeviceTable {
  const table = new DeviceTable({ serverId: SERVER_ID, skew, knock: undefined, seed: SEED });
  table.advance(NOW);
  for (const one of devices) table.put(one, false);
  return table;
}

function verifierOf(devices?: readonly Device[], skew?: { past: number; future: number }) {
  const table = tableOf(devices, skew);
  const verifier = new Verifier(table);
  return (payload: Uint8Array, now: UnixMillis = NOW) => {
    table.advance(now);
    while (table.work(1000) > 0);
    return verifier.verify(payloadFrame(payload), now);
  };
}

const verify = verifierOf();
const reason = (payload: Uint8Array, now?: UnixMillis): string => {
  const verdict = verify(payload, now);
  return verdict.kind === "drop" ? verdict.reason : verdict.kind;
};

describe("a valid packet", () => {
  test("is the device's, with all that it asks for", () => {
    const asked = makeRequest({
      lifetime: 90,
      connections: 3,
      otp: 123_456,
      fromPort: unwrap(parsePort(5000)),
    });
    const packet = sender.packet(asked);
    expect(verify(packet)).toMatchObject({
      kind: "authentic",
      form: "spa",
      device: { id: "alice/phone" },
      slot: "current",
      step: stepAt(NOW),
      request: asked,
      id: packet.subarray(0, 32),
      transactionId: undefined,
    });
  });

  test("is the same in its STUN form, with the transaction's id", () => {
    expect(verify(sender.stun(packet))).toMatchObject({
      kind: "authentic",
      form: "stun",
      device: { id: "alice/phone" },
      id: packet.subarray(0, 32),
      transactionId: bytesFrom("transaction", 12),
    });
  });

  test("has the keys for its reply", () => {
    const verdict = verify(packet);
    const own = new KeySchedule(device.current.secret, SERVER_ID);
    expect(verdict.kind === "authentic" && verdict.schedule.keys(verdict.step)).toEqual(
      own.keys(stepAt(NOW)),
    );
  });

  test("says which of the device's secrets made it", () => {
    const many = verifierOf([
      makeDevice("alice/phone", {
        next: { secret: secretFrom("next"), since: NOW },
        retired: [{ secret: secretFrom("retired"), until: later(NOW, 1e9) }],
      }),
    ]);
    const slots = ["alice/phone", "next", "retired"].map((name) =>
      many(new Sender(secretFrom(name)).packet()),
    );
    expect(slots).toMatchObject([{ slot: "current" }, { slot: "next" }, { slot: "retired" }]);
  });

  test.each<[string, (bytes: Uint8Array) => Uint8Array]>([
    ["a Uint8Array", (bytes) => bytes],
    ["a Node Buffer, whose slices are views", (bytes) => Buffer.from(bytes)],
  ])("does not depend on memory that is used again: %s", (_, memory) => {
    const asked = makeRequest({ allow: address("2001:db8::1") });
    for (const payload of [sender.packet(asked), sender.stun(sender.packet(asked))]) {
      const frame = payloadFrame(payload);
      const bytes = memory(frame.bytes);
      const verdict = new Verifier(tableOf()).verify({ ...frame, bytes }, NOW);
      expect(verdict.kind).toBe("authentic");
      const before = JSON.stringify(verdict);
      bytes.fill(0);
      expect(JSON.stringify(verdict)).toBe(before);
    }
  });

  test("with the same first byte in its tag as another step's is opened by its own key", () => {
    const next = later(NOW, 30_000);
    const name = Array.from({ length: 5000 }, (_, n) => `device ${n}`).find((name) => {
      const sender = new Sender(secretFrom(name));
      return sender.tag(stepAt(NOW))[0] === sender.tag(stepAt(next))[0];
    });
    const secret = secretFrom(name ?? "");
    const verify = verifierOf([makeDevice("alice/phone", { current: { secret, since: NOW } })]);
    const sender = new Sender(secret);
    for (const sentAt of [NOW, next, NOW]) {
      expect(verify(sender.packet({ sentAt })).kind).toBe("authentic");
    }
  });
});

describe("anything else is dropped, and for the reason that comes first", () => {
  test("every single-bit flip of a packet", () => {
    for (let bit = 0; bit < packet.length * 8; bit++) {
      expect(reason(flip(packet, bit)), `bit ${bit}`).toBe(bit < 64 ? "tag" : "forged");
    }
  });

  test("every single-bit flip of the packet in a STUN request", () => {
    const message = sender.stun(packet);
    for (let bit = 0; bit < message.length * 8; bit++) {
      const verdict = verify(flip(message, bit));
      if (verdict.kind === "drop") continue;
      // What may change is what is around the packet: it stays what it was.
      expect(verdict.id).toEqual(packet.subarray(0, 32));
      expect(bit >= 24 * 8 && bit < (24 + 192) * 8, `bit ${bit}`).toBe(false);
    }
  });

  test("every truncation and extension of a packet", () => {
    for (let length = 0; length < packet.length; length++) {
      expect(reason(packet.subarray(0, length)), `${length} bytes`).toBe(length < 28 ? "size" : "form");
    }
    for (let more = 1; more < 500; more++) {
      expect(reason(concat(packet, bytesFrom("more", more))), `${more} more`).toBe(
        more > 456 ? "size" : "form",
      );
    }
  });

  test("a packet under another transaction id, whose answer would seem to be another packet's", () => {
    const message = sender.stun(packet);
    expect(reason(message)).toBe("authentic");
    for (let at = 8; at < 20; at++) {
      const changed = Uint8Array.from(message);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(reason(changed)).toBe("forged");
    }
  });

  test("every truncation and extension of a STUN request", () => {
    const message = sender.stun(packet);
    for (let length = 0; length < message.length; length++) {
      expect(reason(message.subarray(0, length))).not.toBe("authentic");
    }
    for (let more = 1; more < 20; more++) {
      expect(reason(concat(message, bytesFrom("more", more)))).not.toBe("authentic");
    }
  });

  test.each<[string, Uint8Array, string]>([
    ["another server's id", new Sender(device.current.secret, bytesFrom("other server", 16)).packet(), "tag"],
    ["an unknown device", new Sender(secretFrom("nobody")).packet(), "tag"],
    ["the keys of one step, sent in the next", sender.packet({ sentAt: later(NOW, 30_000) }, NOW), "clock"],
    [
      "the keys of one step, sent in the one before",
      sender.packet({ sentAt: later(NOW, -30_000) }, NOW),
      "clock",
    ],
    [
      "the keys of one step, sent a day later",
      sender.packet({ sentAt: later(NOW, 86_400_000) }, NOW),
      "clock",
    ],
    ["another version of the request", sealed((bytes) => bytes.fill(2, 0, 1)), "malformed"],
    ["an unknown flag", sealed((bytes) => bytes.fill(2, 3, 4)), "malformed"],
    ["an unknown type", sealed((bytes) => bytes.fill(5, 1, 2)), "malformed"],
    ["padding that is not zero", sealed((bytes) => bytes.fill(1, 95)), "malformed"],
  ])("%s", (_, payload, expected) => {
    expect(reason(payload)).toBe(expected);
    if (expected !== "tag") expect(reason(sender.stun(payload))).toBe(expected);
  });

  test("a removed device's packet", () => {
    const table = tableOf();
    const verifier = new Verifier(table);
    expect(verifier.verify(payloadFrame(packet), NOW).kind).toBe("authentic");
    table.remove(device.id);
    expect(verifier.verify(payloadFrame(packet), NOW)).toEqual({ kind: "drop", reason: "tag" });
  });

  test("a miss makes nothing new: the drops are the same objects", () => {
    expect(verify(bytesFrom("junk", 144))).toBe(verify(bytesFrom("other junk", 144)));
    expect(verify(bytesFrom("junk", 20))).toBe(verify(bytesFrom("junk", 601)));
  });
});

describe("clocks", () => {
  // The daemon's clock at every second of a step, the client's so many seconds off.
  const seconds = Array.from({ length: 30 }, (_, second) => second);
  const accepted = (skew: { past: number; future: number }, off: number) => {
    const verify = verifierOf([device], skew);
    return seconds.map((second) => {
      const now = later(NOW, -10_000 + second * 1000);
      return verify(sender.packet({ sentAt: later(now, off * 1000) }), now).kind === "authentic";
    });
  };

  test.each([0, 1, -1, 29, -29, 30, -30])("%i s off is accepted by default, at any second", (off) => {
    expect(new Set(accepted({ past: 1, future: 1 }, off))).toEqual(new Set([true]));
  });

  test.each([60, -60, 95, -95, 3600, -3600])("%i s off is not", (off) => {
    expect(new Set(accepted({ past: 1, future: 1 }, off))).toEqual(new Set([false]));
  });

  test("between 30 and 60 s it depends on the second", () => {
    expect(accepted({ past: 1, future: 1 }, -45).filter(Boolean)).toHaveLength(15);
  });

  test("the window is as wide as configured, each way", () => {
    const wide = { past: 4, future: 0 };
    expect(new Set(accepted(wide, -120))).toEqual(new Set([true]));
    expect(new Set(accepted(wide, -150))).toEqual(new Set([false]));
    expect(new Set(accepted(wide, 30))).toEqual(new Set([false]));
    expect(new Set(accepted({ past: 0, future: 0 }, 30))).toEqual(new Set([false]));
  });

  test("the same packet is accepted for as long as its step is in the window, and no longer", () => {
    const start = later(NOW, -10_000);
    const packet = sender.packet({ sentAt: start });
    expect(reason(packet, later(start, -30_001))).toBe("tag");
    expect(reason(packet, later(start, -30_000))).toBe("authentic");
    expect(reason(packet, later(start, 59_999))).toBe("authentic");
    expect(reason(packet, later(start, 60_000))).toBe("tag");
  });

  test("a clock that jumps there and back", () => {
    expect(reason(packet, later(NOW, 3_600_000))).toBe("tag");
    expect(reason(packet, NOW)).toBe("authentic");
    expect(reason(packet, later(NOW, -3_600_000))).toBe("tag");
    expect(reason(packet, NOW)).toBe("authentic");
  });
});

/** A packet whose request was changed before it was sealed. */
function sealed(change: (request: Uint8Array) => unknown, fields: Partial<Request> = {}): Uint8Array {
  const request = encodeRequest(makeRequest(fields));
  change(request);
  const keys = new KeySchedule(device.current.secret, SERVER_ID).keys(stepAt(NOW));
  return sealPacket(keys, bytesFrom("a nonce", 24), request);
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = bytes.slice();
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return flipped;
}
