import { describe, expect, test } from "vitest";
import type { TimeStep } from "../../../shared/brand.ts";
import { MAX_SPENT, SpentSteps } from "../../../server/core/spent-steps.ts";

const step = (n: number) => n as TimeStep;

describe("spent steps", () => {
  test("none to begin with, step 0 neither", () => {
    expect(new SpentSteps().has(step(0))).toBe(false);
  });

  test("every step up to the floor and up to the doubt, and single ones", () => {
    const spent = new SpentSteps(10, [step(20)], 15);
    const has = [9, 10, 11, 15, 16, 19, 20, 21].map((n) => spent.has(step(n)));
    expect(has).toEqual([true, true, true, true, false, false, true, false]);
  });

  test("a clock that ran ahead spends only what was used while it did", () => {
    const spent = new SpentSteps();
    spent.add(step(1000));
    spent.add(step(1120));
    expect([999, 1000, 1001, 1119, 1120].map((n) => spent.has(step(n)))).toEqual([
      false,
      true,
      false,
      false,
      true,
    ]);
  });

  test("when there are too many, the oldest go and every step up to them is spent", () => {
    const spent = new SpentSteps();
    for (let n = 0; n < MAX_SPENT; n++) spent.add(step(100 + 2 * n));
    expect(spent.floor).toBe(-1);
    spent.add(step(50));
    expect(spent.floor).toBe(50);
    expect(spent.has(step(49))).toBe(true);
    expect(spent.has(step(99))).toBe(false);
    spent.add(step(99_999));
    expect(spent.floor).toBe(100);
    expect(spent.single.size).toBe(MAX_SPENT);
    spent.add(step(70));
    expect(spent.single.size).toBe(MAX_SPENT);
  });

  test("too many at once", () => {
    const all = Array.from({ length: MAX_SPENT + 10 }, (_, n) => step(n));
    const spent = new SpentSteps(-1, all.toReversed());
    expect([spent.floor, spent.single.size]).toEqual([9, MAX_SPENT]);
  });

  test("the doubt follows a clock that is set back by more than ten minutes", () => {
    const spent = new SpentSteps(-1, [], 1000);
    expect(spent.follow(step(1001))).toBe(false);
    expect(spent.follow(step(980))).toBe(false);
    expect(spent.doubt).toBe(1000);
    expect(spent.follow(step(979))).toBe(true);
    expect([979, 980].map((n) => spent.has(step(n)))).toEqual([true, false]);
  });

  test("the floor and single steps do not", () => {
    const spent = new SpentSteps(1000, [step(2000)]);
    spent.follow(step(5));
    expect([5, 1000, 2000].every((n) => spent.has(step(n)))).toBe(true);
  });
});
