import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration, roughly } from "../../../server/config/duration.ts";
import { parseInstant } from "../../../server/config/instant.ts";
import { nearest } from "../../../server/config/nearest.ts";
import { seconds } from "../../../shared/brand.ts";

describe("durations", () => {
  test.each([
    ["1s", 1],
    ["90s", 90],
    ["10m", 600],
    ["2h", 7200],
    ["90d", 7_776_000],
    ["4w", 2_419_200],
    ["24000d", 2_073_600_000],
  ])("%s", (text, value) => expect(parseDuration(text)).toBe(value));

  test.each([
    "",
    "30",
    "s",
    "0s",
    "-1s",
    "1.5h",
    "1h30m",
    " 1s",
    "1s ",
    "01s",
    "1S",
    "1y",
    "30 s",
    "24001d",
    "9999999999s",
  ])("%j is none", (text) => expect(parseDuration(text)).toBeUndefined());

  test("printed and read again they are the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2_073_600_000 }), (value) => {
        expect(parseDuration(formatDuration(seconds(value)))).toBe(value);
      }),
    );
  });

  test("are printed in their largest whole unit", () => {
    expect([30, 60, 90, 3600, 86_400, 604_800].map((value) => formatDuration(seconds(value)))).toEqual([
      "30s",
      "1m",
      "90s",
      "1h",
      "1d",
      "1w",
    ]);
  });

  test("for people they are rounded down", () => {
    expect([-5, 0, 59_999, 60_000, 7_199_999, 86_400_000 * 40].map(roughly)).toEqual([
      "0s",
      "0s",
      "59s",
      "1m",
      "1h",
      "40d",
    ]);
  });
});

describe("moments", () => {
  test.each([
    ["2027-01-31", Date.UTC(2027, 0, 31)],
    ["2027-01-31T18:00:00", Date.UTC(2027, 0, 31, 18)],
    ["2027-01-31 18:00:00Z", Date.UTC(2027, 0, 31, 18)],
    ["2027-01-31t18:00:00+02:00", Date.UTC(2027, 0, 31, 16)],
    ["2028-02-29", Date.UTC(2028, 1, 29)],
  ])("%s", (text, value) => expect(parseInstant(text)).toBe(value));

  test.each([
    "",
    "2027",
    "2027-13-01",
    "2027-02-30",
    "31.1.2027",
    "2027-01-31T25:00:00",
    "18:00:00",
    "1969-12-31",
    "90d",
  ])("%j is none", (text) => expect(parseInstant(text)).toBeUndefined());
});

describe("what was most likely meant", () => {
  const keys = ["name", "addresses", "port", "state", "socket", "reply"];
  test.each([
    ["nam", "name"],
    ["adresses", "addresses"],
    ["Port", "port"],
    ["prot", "port"],
    ["sokcet", "socket"],
    ["x", undefined],
    ["timeout", undefined],
    ["", undefined],
  ])("%j → %j", (input, expected) => expect(nearest(input, keys)).toBe(expected));

  test("swapped neighbours count as one mistake", () => {
    expect(nearest("shh", ["ssh"])).toBe("ssh");
  });
});
