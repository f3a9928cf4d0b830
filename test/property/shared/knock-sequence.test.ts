import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { timeStep } from "../../../shared/brand.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { type KnockShape, knockSequence } from "../../../shared/knock-sequence.ts";
import { Secret } from "../../../shared/secret.ts";
import { bytesOf } from "./arbitraries.ts";

const shape: fc.Arbitrary<KnockShape> = fc
  .tuple(
    fc.integer({ min: 1, max: 64_512 }),
    fc.integer({ min: 1024, max: 65_535 }),
    fc.integer({ min: 3, max: 8 }),
  )
  .map(([first, span, length]) => ({ first, last: Math.min(65_535, first + span - 1), length }));

test("ports are distinct, in the range, never blocked, and as many as asked for", () => {
  fc.assert(
    fc.property(shape, bytesOf(32), fc.nat(), (shape, secret, step) => {
      const schedule = new KeySchedule(new Secret(secret), new Uint8Array(16));
      const ports = knockSequence(shape, (block) => schedule.derive("knock", timeStep(step), block));
      expect(ports.length).toBe(shape.length);
      expect(new Set(ports).size).toBe(shape.length);
      expect(ports.every((port) => port >= shape.first && port <= shape.last && port !== 10080)).toBe(true);
    }),
  );
});

test("a shorter sequence is the beginning of a longer one", () => {
  fc.assert(
    fc.property(shape, bytesOf(64), (shape, words) => {
      fc.pre(shape.length > 3);
      const supply = (block: number): Uint8Array => words.map((byte) => byte ^ block);
      const long = knockSequence(shape, supply);
      expect(knockSequence({ ...shape, length: 3 }, supply)).toEqual(long.slice(0, 3));
    }),
  );
});

test("a range that cannot hold the sequence is the caller's bug, not an endless loop", () => {
  const words = (block: number): Uint8Array =>
    Uint8Array.from({ length: 64 }, (_, index) => index * 7 + block);
  expect(() => knockSequence({ first: 10080, last: 10082, length: 3 }, words)).toThrow(RangeError);
});

describe("every port of the range is equally likely at every place", () => {
  const STEPS = 10_000;
  const BINS = 64;
  /** The 0.999 quantile of chi-square with 63 degrees of freedom. The secret is fixed, so this holds or fails for good. */
  const LIMIT = 103.44;
  const schedule = new KeySchedule(new Secret(new Uint8Array(32).fill(0x5a)), new Uint8Array(16));

  test.for<[string, KnockShape]>([
    ["defaults", { first: 10000, last: 32767, length: 4 }],
    ["a range of 40000", { first: 10000, last: 49999, length: 4 }],
    ["a narrow range", { first: 20000, last: 21499, length: 4 }],
  ])("%s", ([, shape]) => {
    const span = shape.last - shape.first + 1;
    const bin = (port: number): number => Math.floor(((port - shape.first) * BINS) / span);
    const expected = new Array<number>(BINS).fill(0);
    const usable = Array.from({ length: span }, (_, index) => shape.first + index).filter(
      (port) => port !== 10080,
    );
    for (const port of usable) expected[bin(port)] = expected[bin(port)]! + STEPS / usable.length;

    const counts = Array.from({ length: shape.length }, () => new Array<number>(BINS).fill(0));
    for (let step = 0; step < STEPS; step++) {
      const ports = knockSequence(shape, (block) => schedule.derive("knock", timeStep(step), block));
      for (const [place, port] of ports.entries()) counts[place]![bin(port)] = counts[place]![bin(port)]! + 1;
    }
    for (const place of counts) {
      const chiSquare = place.reduce(
        (sum, count, index) => sum + (count - expected[index]!) ** 2 / expected[index]!,
        0,
      );
      expect(chiSquare).toBeLessThan(LIMIT);
    }
  });
});
