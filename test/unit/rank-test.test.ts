import { expect, test } from "vitest";
import { rankTest } from "../support/rank-test.ts";

test("as R's wilcox.test(exact = FALSE, correct = FALSE) has it", () => {
  const a = [0.8, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
  const b = [1.15, 0.88, 0.9, 0.74, 1.21];
  const { effect, p } = rankTest(a, b);
  // W = 35 of 50 for a (R's own example); z = 10 / sqrt(50 * 16 / 12) = 1.2247.
  expect(effect).toBeCloseTo(15 / 50, 10);
  expect(p).toBeCloseTo(0.22067, 4);
});

test("ties count half, and a shift shows", () => {
  expect(rankTest([1, 1, 1], [1, 1, 1])).toEqual({ effect: 0.5, p: 1 });
  const low = Array.from({ length: 200 }, (_, index) => index);
  expect(
    rankTest(
      low,
      low.map((value) => value + 40),
    ).p,
  ).toBeLessThan(1e-6);
  expect(rankTest(low, low).p).toBeCloseTo(1, 5);
});
