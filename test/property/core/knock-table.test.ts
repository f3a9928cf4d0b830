import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KnockTable } from "../../../server/core/knock-table.ts";

const LENGTH = 4;
const port = fc.integer({ min: 1, max: 7 });
const sequence = fc.uniqueArray(port, { minLength: LENGTH, maxLength: LENGTH });
const action = fc.tuple(fc.constantFrom("add", "add", "remove"), fc.integer({ min: 1, max: 40 }), sequence);
const recent = fc.array(port, { minLength: 1, maxLength: 8 });

describe("the knock table", () => {
  test("finds just the sequences that a search through all of them finds", () => {
    fc.assert(
      fc.property(
        fc.array(action, { maxLength: 60 }),
        fc.array(recent, { maxLength: 20 }),
        (actions, tries) => {
          const table = new KnockTable([1, 2], LENGTH);
          const model = new Map<number, readonly number[]>();
          for (const [kind, owner, ports] of actions) {
            const known = model.get(owner);
            if (kind === "add" && known === undefined) {
              table.add(owner, ports);
              model.set(owner, ports);
            } else if (kind === "remove") {
              expect(table.remove(owner, known ?? ports)).toBe(known !== undefined);
              model.delete(owner);
            }
          }
          for (const ports of [...tries, ...model.values()]) {
            const owners = [...model]
              .filter(([, wanted]) => completes(wanted, ports))
              .map(([owner]) => owner);
            const found = table.match(Uint16Array.from(ports), ports.length);
            expect(owners.length > 0 ? owners : [0]).toContain(found);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("looks at no port after the count", () => {
    const table = new KnockTable([1, 2], 3);
    table.add(1, [10, 20, 30]);
    expect(table.match(Uint16Array.of(10, 20, 30), 2)).toBe(0);
    expect(table.match(Uint16Array.of(10, 20, 30, 40), 3)).toBe(1);
    expect(table.match(Uint16Array.of(10, 20, 30, 40), 4)).toBe(0);
    expect(table.match(Uint16Array.of(), 0)).toBe(0);
  });
});

/** Ordered subsequence that ends with the newest, by trying every choice of places. */
function completes(wanted: readonly number[], ports: readonly number[]): boolean {
  if (wanted.at(-1) !== ports.at(-1)) return false;
  const choices = (places: readonly number[], from: number): boolean =>
    places.length === wanted.length - 1
      ? places.every((place, index) => ports[place] === wanted[index])
      : ports.slice(0, -1).some((_, place) => place >= from && choices([...places, place], place + 1));
  return choices([], 0);
}
