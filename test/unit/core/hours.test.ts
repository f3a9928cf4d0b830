import { describe, expect, test } from "vitest";
import { hoursOf, isTimezone, parseWindows } from "../../../server/config/hours.ts";
import type { UnixMillis } from "../../../shared/brand.ts";

const at = (text: string): UnixMillis => Date.parse(text) as UnixMillis;
/** When the window ends that the moment is in, in UTC; undefined = it is in none. */
function end(hours: string | string[], timezone: string, moment: string): string | undefined {
  const ends = hoursOf([hours].flat(), timezone)?.endsAt(at(moment));
  return ends === undefined ? undefined : new Date(ends).toISOString();
}

describe("windows of the week", () => {
  const office = "mon-fri 08:00-18:00";
  const late = "fri 22:00-06:00";
  // 2026-11-20 is a Friday.
  test.each([
    [office, "2026-11-20T07:59:59.999Z", undefined],
    [office, "2026-11-20T08:00:00.000Z", "2026-11-20T18:00:00.000Z"],
    [office, "2026-11-20T17:59:59.999Z", "2026-11-20T18:00:00.000Z"],
    [office, "2026-11-20T18:00:00.000Z", undefined],
    [office, "2026-11-21T12:00:00.000Z", undefined],
    [late, "2026-11-20T21:59:59.000Z", undefined],
    [late, "2026-11-20T23:00:00.000Z", "2026-11-21T06:00:00.000Z"],
    [late, "2026-11-21T05:59:59.000Z", "2026-11-21T06:00:00.000Z"],
    [late, "2026-11-21T06:00:00.000Z", undefined],
    ["sun 22:00-06:00", "2026-11-23T01:00:00.000Z", "2026-11-23T06:00:00.000Z"],
    ["sat-mon 10:00-11:00", "2026-11-22T10:30:00.000Z", "2026-11-22T11:00:00.000Z"],
    ["sat-mon 10:00-11:00", "2026-11-24T10:30:00.000Z", undefined],
    ["sat,tue 10:00-11:00", "2026-11-24T10:30:00.000Z", "2026-11-24T11:00:00.000Z"],
    ["daily 00:00-24:00", "2026-11-24T10:30:00.000Z", "2026-11-25T00:00:00.000Z"],
  ])("%s at %s → %s", (hours, moment, expected) => expect(end(hours, "UTC", moment)).toBe(expected));

  test("of two that overlap the later end counts", () => {
    expect(end(["daily 08:00-10:00", "daily 09:00-12:00"], "UTC", "2026-11-20T09:30:00Z")).toBe(
      "2026-11-20T12:00:00.000Z",
    );
  });
});

describe("time zones", () => {
  test.each([
    ["Europe/Berlin", "2026-01-12T07:30:00Z", "2026-01-12T17:00:00.000Z"],
    ["Europe/Berlin", "2026-01-12T06:59:59Z", undefined],
    ["Europe/Berlin", "2026-07-13T06:00:00Z", "2026-07-13T16:00:00.000Z"],
    ["Asia/Kathmandu", "2026-07-13T02:15:00Z", "2026-07-13T12:15:00.000Z"],
    ["Asia/Kathmandu", "2026-07-13T02:14:59Z", undefined],
  ])("08:00-18:00 in %s at %s → %s", (timezone, moment, expected) => {
    expect(end("daily 08:00-18:00", timezone, moment)).toBe(expected);
  });

  test("a night in which the clocks go back, or forward, ends by the clock on the wall", () => {
    expect(end("sat 22:00-06:00", "Europe/Berlin", "2026-10-24T20:30:00Z")).toBe("2026-10-25T05:00:00.000Z");
    expect(end("sat 22:00-06:00", "Europe/Berlin", "2026-03-28T21:30:00Z")).toBe("2026-03-29T04:00:00.000Z");
  });

  test("names are the database's own", () => {
    expect(["UTC", "Europe/Berlin", "Mars/Olympus", ""].map(isTimezone)).toEqual([true, true, false, false]);
  });
});

test.each([
  "",
  "mon",
  "08:00-18:00",
  "mon 8:00-18:00",
  "mon 08:00-08:00",
  "mon 24:00-08:00",
  "mon 08:00-24:01",
  "mon 08:60-09:00",
  "Mon 08:00-09:00",
  "monday 08:00-09:00",
  "mon- 08:00-09:00",
  "daily,mon 08:00-09:00",
  "mon  08:00-09:00",
])("%j is no window", (text) => expect(parseWindows(text)).toBeUndefined());
