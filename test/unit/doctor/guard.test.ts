import { expect, test } from "vitest";
import { lookAtGuard } from "../../../server/doctor/guard.ts";

const NOW = new Date(2026, 10, 22, 12, 0, 0).getTime();

test("a guard on trial is not one that is on", () => {
  expect(lookAtGuard({ state: "on", trial: undefined }, NOW)).toMatchObject([{ state: "ok", message: "on" }]);
  expect(lookAtGuard({ state: "on", trial: 42 }, NOW)).toMatchObject([
    { state: "warn", message: "on, on trial until 12:00:42: it takes itself off then, in 42 s" },
  ]);
  expect(lookAtGuard({ state: "off", trial: undefined }, NOW)).toMatchObject([{ state: "fail" }]);
});
