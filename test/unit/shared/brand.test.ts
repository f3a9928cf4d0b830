import { describe, expect, test } from "vitest";
import {
  parseDeviceId,
  parsePort,
  parseServiceName,
  quote,
  seconds,
  timeStep,
  unixMillis,
  userOf,
} from "../../../shared/brand.ts";
import { unwrap } from "../../../shared/result.ts";

const INVALID = { ok: false, error: { code: "invalid", name: "TockError" } };

describe("port", () => {
  test.for([1, 22, 65535, "1", "22", "65535"])("takes %o", (input) => {
    expect(parsePort(input)).toEqual({ ok: true, value: Number(input) });
  });
  test.for([
    0,
    -1,
    65536,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    "",
    "0",
    "65536",
    " 22",
    "22 ",
    "0x16",
    "2e1",
    "+22",
    "tcp",
  ])("refuses %o", (input) => {
    expect(parsePort(input)).toMatchObject(INVALID);
  });
});

describe("numbers of one kind", () => {
  test.for([-1, 0.5, Number.NaN, 2 ** 53])("%d is no time step", (value) => {
    expect(() => timeStep(value)).toThrow(RangeError);
  });
  test.for([-1, 0.5, Number.NaN, 2 ** 48])("%d is no time", (value) => {
    expect(() => unixMillis(value)).toThrow(RangeError);
  });
  test.for([-1, 0.5, Number.NaN, 2 ** 31])("%d is no number of seconds", (value) => {
    expect(() => seconds(value)).toThrow(RangeError);
  });
  test("their largest values are taken", () => {
    expect([timeStep(2 ** 53 - 1), unixMillis(2 ** 48 - 1), seconds(2 ** 31 - 1)]).toEqual([
      2 ** 53 - 1,
      2 ** 48 - 1,
      2 ** 31 - 1,
    ]);
  });
});

describe("service name", () => {
  test.for(["a", "0", "ssh", "web-1", "a_b", "a234567890123456"])("takes '%s'", (input) => {
    expect(parseServiceName(input)).toEqual({ ok: true, value: input });
  });
  test.for(["", "SSH", "-a", "_a", "a.b", "a b", "a/b", "é", "ssh\n", "a2345678901234567"])(
    "refuses '%s'",
    (input) => {
      expect(parseServiceName(input)).toMatchObject(INVALID);
    },
  );
});

describe("device id", () => {
  test.for(["a/b", "alice/phone", "al.ice/work-pc_2", `${"a".repeat(32)}/${"b".repeat(32)}`])(
    "takes '%s'",
    (input) => {
      const device = unwrap(parseDeviceId(input));
      expect(userOf(device)).toBe(input.split("/")[0]);
    },
  );
  const bad = [
    "",
    "alice",
    "/",
    "a/",
    "/b",
    "a/b/c",
    "A/b",
    "a b/c",
    "../b",
    "a/..",
    "a/.b",
    "-a/b",
    "a/b\n",
    `${"a".repeat(33)}/b`,
  ];
  test.for(bad)("refuses '%s'", (input) => {
    expect(parseDeviceId(input)).toMatchObject(INVALID);
  });
});

describe("input in an error message", () => {
  test.for([
    ["plain", '"plain"'],
    ['a"b', '"a\\"b"'],
    ["a\nb\x1b[31m", '"a\\nb\\u001b[31m"'],
    ["\x7f\x9b\u202e\u2066\u200b", '"\\u{7f}\\u{9b}\\u{202e}\\u{2066}\\u{200b}"'],
    ["日本", '"日本"'],
    ["\ud800", '"\\ud800"'],
  ] as const)("%j is shown as %s", ([input, shown]) => {
    expect(quote(input)).toBe(shown);
  });
  test("is cut at 64 characters", () => {
    expect(quote("x".repeat(64))).toBe(`"${"x".repeat(64)}"`);
    expect(quote("x".repeat(1_000_000)).length).toBe(64);
    expect(quote("x".repeat(65)).endsWith('…"')).toBe(true);
  });
});
