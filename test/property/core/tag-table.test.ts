import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mix, TagTable, wordAt } from "../../../server/core/tag-table.ts";

// Few different halves, so that tags come again; any halves, so that the table grows and probes wrap around.
const half = fc.oneof(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 0xffffffff }));
const action = fc.tuple(
  fc.constantFrom("add", "add", "remove", "find"),
  half,
  half,
  fc.integer({ min: 1, max: 3 }),
);
const seed = fc.tuple(half, half);

describe("the tag table", () => {
  test("does what a map does", () => {
    fc.assert(
      fc.property(
        seed,
        fc.integer({ min: 0, max: 40 }),
        fc.array(action, { maxLength: 200 }),
        (seed, room, actions) => {
          const table = new TagTable(seed, room);
          const model = new Map<string, number>();
          for (const [kind, high, low, value] of actions) {
            const key = `${high} ${low}`;
            const known = model.get(key);
            if (kind === "add") {
              expect(table.add(high, low, value)).toBe(known === undefined);
              if (known === undefined) model.set(key, value);
            } else if (kind === "remove") {
              expect(table.remove(high, low, value)).toBe(known === value);
              if (known === value) model.delete(key);
            }
            expect(table.find(high, low)).toBe(model.get(key) ?? 0);
            expect(table.size).toBe(model.size);
          }
          for (const [key, value] of model) {
            const [high = 0, low = 0] = key.split(" ").map(Number);
            expect(table.find(high, low)).toBe(value);
          }
          expect(unpack(table.pack())).toEqual([...model.keys()].sort());
        },
      ),
      { numRuns: 500 },
    );
  });

  test("does so where tags crowd: all begin at one of six places next to each other, at the table's end", () => {
    const places = new Set([1021, 1022, 1023, 0, 1, 2]);
    const crowd = Array.from({ length: 30_000 }, (_, low) => low).filter((low) =>
      places.has(mix(0, low) % 1024),
    );
    expect(crowd.length).toBeGreaterThan(100);
    const some = fc.tuple(fc.boolean(), fc.constantFrom(...crowd.slice(0, 60)));
    fc.assert(
      fc.property(fc.array(some, { maxLength: 150 }), (actions) => {
        const table = new TagTable([0, 0], 100);
        const model = new Set<number>();
        for (const [isAdd, low] of actions) {
          expect(isAdd ? table.add(0, low, low + 1) : table.remove(0, low, low + 1)).toBe(
            isAdd !== model.has(low),
          );
          if (isAdd) model.add(low);
          else model.delete(low);
        }
        for (const low of crowd) expect(table.find(0, low)).toBe(model.has(low) ? low + 1 : 0);
      }),
      { numRuns: 300 },
    );
  });
});

function unpack(packed: Uint8Array): string[] {
  return Array.from(
    { length: packed.length / 8 },
    (_, i) => `${wordAt(packed, i * 8)} ${wordAt(packed, i * 8 + 4)}`,
  ).sort();
}
