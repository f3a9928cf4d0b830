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

  test("stays right when full of tags that begin at one place", () => {
    const table = new TagTable([0, 0]);
    const colliding = Array.from({ length: 200_000 }, (_, low) => [0, low] as const).filter(
      ([high, low]) => mix(high, low) % 1024 === 1020,
    );
    expect(colliding.length).toBeGreaterThan(100);
    for (const [index, [high, low]] of colliding.entries()) table.add(high, low, index + 1);
    for (const [index, [high, low]] of colliding.entries()) {
      if (index % 3 === 0) expect(table.remove(high, low, index + 1)).toBe(true);
    }
    for (const [index, [high, low]] of colliding.entries()) {
      expect(table.find(high, low)).toBe(index % 3 === 0 ? 0 : index + 1);
    }
  });
});

function unpack(packed: Uint8Array): string[] {
  return Array.from(
    { length: packed.length / 8 },
    (_, i) => `${wordAt(packed, i * 8)} ${wordAt(packed, i * 8 + 4)}`,
  ).sort();
}
