import { expect, test } from "vitest";
import { isClockDoubtful } from "../../../server/commands/guard-trial.ts";
import { unixMillis } from "../../../shared/brand.ts";
import { NOON } from "../../support/tockd.ts";

const minutesAgo = (minutes: number) => ({
  lastUse: { at: unixMillis(NOON - minutes * 60_000), source: "192.0.2.1" },
});
const never = { lastUse: undefined };

test.each([
  ["a clock that is kept right", true, [never], false],
  ["a kernel that does not say", undefined, [never], false],
  ["a clock that nothing keeps right, and no device", false, [never], true],
  ["a device of yesterday", false, [never, minutesAgo(24 * 60)], true],
  ["a device of just now, whose clock agreed", false, [never, minutesAgo(2)], false],
])("before a trial: %s", (_name, isSynchronised, devices, isDoubtful) => {
  expect(isClockDoubtful(isSynchronised, devices, NOON)).toBe(isDoubtful);
});
