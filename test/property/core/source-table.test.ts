import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { halfSipHash, SourceTable } from "../../../server/core/source-table.ts";

const CAPACITY = 5;
const address = fc
  .array(fc.constantFrom(0, 1, 0xffffffff), { minLength: 4, maxLength: 4 })
  .map((words) => Uint32Array.from(words));

describe("the table of sources", () => {
  test("keeps the most recently seen, and gives each a number of its own", () => {
    fc.assert(
      fc.property(fc.array(address, { maxLength: 150 }), (history) => {
        const table = new SourceTable([3, 4], CAPACITY);
        // Oldest first, as a Map keeps the order of insertion.
        const model = new Map<string, number>();
        for (const words of history) {
          const key = words.join();
          const known = model.get(key);
          expect(table.find(words)).toBe(known ?? -1);
          model.delete(key);
          if (known === undefined) {
            const added = table.add(words);
            const [oldest] = model;
            if (model.size === CAPACITY && oldest !== undefined) {
              expect(added).toBe(oldest[1]);
              model.delete(oldest[0]);
            }
            expect([...model.values()]).not.toContain(added);
            expect(added).toBeLessThan(CAPACITY);
            model.set(key, added);
          } else {
            model.set(key, known);
          }
          expect(table.size).toBe(model.size);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("hashes by a key: what collides under one does not under another", () => {
    const words = (n: number) => Uint32Array.of(0, 0, 0xffff, n);
    const bucket = (key: readonly [number, number], n: number) => halfSipHash(key, words(n)) & 0xff;
    const colliding = Array.from({ length: 20_000 }, (_, n) => n).filter((n) => bucket([1, 2], n) === 0);
    expect(colliding.length).toBeGreaterThan(40);
    expect(colliding.length).toBeLessThan(120);
    const spread = new Set(colliding.map((n) => bucket([5, 6], n)));
    expect(spread.size).toBeGreaterThan(colliding.length / 2);
  });
});
