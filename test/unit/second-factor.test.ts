import { Secret as OtpSecret, TOTP } from "otpauth";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { checkCode } from "../../server/second-factor.ts";
import { DeviceStore } from "../../server/store/device-store.ts";
import type { UnixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import { run } from "../lab/exec.ts";
import { bytesFrom, later, NOW } from "../support/core.ts";
import { newDevice, newStore } from "../support/devices.ts";
import { scratch } from "../support/tockd.ts";

/** The second factor: which codes are taken, once, and how often one may be wrong. */

const SECRET = bytesFrom("otp", 20);
const phone = newDevice("alice/phone");
const laptop = newDevice("alice/laptop");
let folder: string;
let store: DeviceStore;

beforeEach(() => {
  folder = scratch();
  store = newStore(folder);
  for (const device of [phone, laptop]) unwrap(store.add(device, NOW));
  unwrap(store.otp.add("alice", new Secret(SECRET), NOW));
  onTestFinished(() => store.close());
});

const secret = new OtpSecret({ buffer: SECRET.slice().buffer });
const codeAt = (at: number): number => Number(new TOTP({ secret }).generate({ timestamp: at }));
const check = (code: number | undefined, at: UnixMillis = NOW, device = phone) =>
  checkCode(store, device, code, at);
const wrong = (codeAt(NOW) + 1) % 1_000_000;

describe("a code", () => {
  test("of this step, the one before and the next one is taken", () => {
    for (const at of [-30, 0, 30]) expect(check(codeAt(NOW + at * 1000))).toBe("ok");
  });

  test.each([-90, -60, 60, 90])("of %i s away is wrong", (by) => {
    expect(check(codeAt(NOW + by * 1000))).toBe("wrong");
  });

  test("works once, for all of the user's devices, and also after the store was opened again", () => {
    expect(check(codeAt(NOW))).toBe("ok");
    expect(check(codeAt(NOW))).toBe("wrong");
    expect(check(codeAt(NOW), NOW, laptop)).toBe("wrong");
    const again = unwrap(DeviceStore.open(folder));
    onTestFinished(() => again.close());
    expect(checkCode(again, phone, codeAt(NOW), NOW)).toBe("wrong");
  });

  test("is not taken after a later one was", () => {
    expect(check(codeAt(NOW))).toBe("ok");
    expect(check(codeAt(NOW - 30_000))).toBe("wrong");
  });

  test("that is none is missing, and so is one of a user who has no second factor", () => {
    expect(check(undefined)).toBe("missing");
    unwrap(store.otp.remove("alice"));
    expect(check(codeAt(NOW))).toBe("missing");
  });

  test("that cannot be noted as used is wrong", () => {
    const otp = {
      get: (user: string) => store.otp.get(user),
      guesses: () => ok(undefined),
      setGuesses: () => ok(undefined),
      burn: () => err(new TockError("io", "the disk is full")),
    };
    const broken = { get: () => store.get(phone.id), otp } as unknown as DeviceStore;
    expect(checkCode(broken, phone, codeAt(NOW), NOW)).toBe("wrong");
  });

  test("is the one that oathtool makes of the same secret", async () => {
    const base32 = new OtpSecret({ buffer: SECRET.slice().buffer }).base32;
    for (const seconds of [0, 59, 1_111_111_109, 2_000_000_000, 20_000_000_000]) {
      const at = `@${seconds}`;
      const { stdout, stderr } = await run(["oathtool", "--totp", "-b", base32, "-N", at]);
      expect(stdout.trim(), stderr).toBe(String(codeAt(seconds * 1000)).padStart(6, "0"));
    }
  });
});

describe("guessing", () => {
  test("ten wrong codes, and a device's right one is not looked at for the rest of the hour", () => {
    for (let guess = 0; guess < 10; guess++) expect(check(wrong)).toBe("wrong");
    expect(check(codeAt(NOW))).toBe("exhausted");
    const almost = later(NOW, 3_599_999);
    expect(check(codeAt(almost), almost)).toBe("exhausted");
    const hour = later(NOW, 3_600_000);
    expect(check(codeAt(hour), hour)).toBe("ok");
  });

  test("a device that is out of guesses does not keep another one out", () => {
    for (let guess = 0; guess < 10; guess++) check(wrong);
    expect(check(codeAt(NOW), NOW, laptop)).toBe("ok");
  });

  test("a clock that was set far back keeps nobody out until the old time comes again", () => {
    for (let guess = 0; guess < 10; guess++) check(wrong, later(NOW, 86_400_000 * 365));
    expect(check(codeAt(NOW))).toBe("ok");
  });

  test("no code at all is no guess", () => {
    for (let ask = 0; ask < 20; ask++) check(undefined);
    expect(check(codeAt(NOW))).toBe("ok");
  });

  test("a right code wipes the slate, and the count is still there after the store was opened again", () => {
    for (let guess = 0; guess < 9; guess++) check(wrong);
    expect(check(codeAt(NOW))).toBe("ok");
    for (let guess = 0; guess < 9; guess++) check(wrong);
    const again = unwrap(DeviceStore.open(folder));
    onTestFinished(() => again.close());
    const next = codeAt(NOW + 30_000);
    expect(checkCode(again, phone, wrong, NOW)).toBe("wrong");
    expect(checkCode(again, phone, next, NOW)).toBe("exhausted");
  });
});
