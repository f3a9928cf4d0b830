import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { unixMillis } from "../../../shared/brand.ts";
import { millisLeft, skewWindow, stepAt, stepStart } from "../../../shared/time-step.ts";
import { time } from "./arbitraries.ts";

describe("time step", () => {
  test("is floor(unix seconds / 30), to the millisecond", () => {
    fc.assert(
      fc.property(time, (now) => {
        expect(BigInt(stepAt(now))).toBe(BigInt(now) / 30_000n);
      }),
    );
  });

  test("changes exactly at its boundaries", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9_382_499_222 }), (step) => {
        expect(stepAt(unixMillis(step * 30_000))).toBe(step);
        expect(stepAt(unixMillis(step * 30_000 - 1))).toBe(step - 1);
      }),
      { numRuns: 1000 },
    );
  });

  test("starts before now and ends after it", () => {
    fc.assert(
      fc.property(time, (now) => {
        expect(stepStart(stepAt(now))).toBeLessThanOrEqual(now);
        expect(stepStart(stepAt(now)) + 30_000 - millisLeft(now)).toBe(now);
        expect(millisLeft(now)).toBeGreaterThan(0);
        expect(millisLeft(now)).toBeLessThanOrEqual(30_000);
      }),
    );
  });
});

describe("skew window", () => {
  const skew = fc.record({ past: fc.nat(4), future: fc.nat(4) });

  test("is every step from past to future, oldest first", () => {
    fc.assert(
      fc.property(time, skew, (now, skew) => {
        fc.pre(stepAt(now) >= 4);
        const steps = skewWindow(now, skew);
        expect(steps).toEqual(
          Array.from({ length: skew.past + skew.future + 1 }, (_, i) => stepAt(now) - skew.past + i),
        );
      }),
    );
  });

  test.for([
    [0, [0, 1, 2]],
    [29_999, [0, 1, 2]],
    [30_000, [0, 1, 2, 3]],
    [60_000, [0, 1, 2, 3, 4]],
    [90_000, [1, 2, 3, 4, 5]],
  ] as const)("leaves out steps before 1970: at %i ms", ([now, steps]) => {
    expect(skewWindow(unixMillis(now), { past: 2, future: 2 })).toEqual(steps);
  });
});
