import { expect, test } from "vitest";
import { Counters } from "../../../server/core/counters.ts";

test("counters tell what was counted since they were last asked, and what was counted in all", () => {
  const counters = new Counters(["a", "b", "c"] as const);
  expect(counters.take()).toBeUndefined();
  counters.count("a");
  counters.count("a");
  counters.count("c", 5);
  expect(counters.take()).toEqual({ a: 2, c: 5 });
  expect(counters.take()).toBeUndefined();
  counters.count("a");
  expect(counters.take()).toEqual({ a: 1 });
  expect(counters.totals()).toEqual({ a: 3, b: 0, c: 5 });
});
