import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { automaton } from "../../../server/rules/automaton.ts";

/** Few ports and short sequences, so that prefixes and suffixes of one are often those of another. */
const port = fc.integer({ min: 1, max: 6 });
const sequence = fc.uniqueArray(port, { minLength: 3, maxLength: 3 });
const sequences = fc.uniqueArray(sequence, {
  minLength: 1,
  maxLength: 6,
  selector: (ports) => ports.join(),
});
const knocks = fc.array(port, { maxLength: 40 });

/** As the rules do it: look up the state and the port, else the port at the start, else begin anew. */
function follow(all: readonly number[][], ports: readonly number[]): number[] {
  const table = new Map(
    automaton(all.map((each, index) => ({ ports: each, end: 1_000 + index }))).map(
      ({ state, port, next }) => [`${state} ${port}`, next],
    ),
  );
  let state = 0;
  return ports.flatMap((port) => {
    const next = table.get(`${state} ${port}`) ?? table.get(`0 ${port}`) ?? 0;
    const isEnd = next >= 1_000 && next < 1_000 + all.length;
    state = isEnd ? 0 : next;
    return isEnd ? [next - 1_000] : [];
  });
}

/** Without any cleverness: repeats taken out, whatever came since the last end is looked at from behind. */
function slowly(all: readonly number[][], ports: readonly number[]): number[] {
  let recent: number[] = [];
  return ports.flatMap((port) => {
    if (recent.at(-1) !== port) recent.push(port);
    const found = all.findIndex((each) => recent.slice(-each.length).join() === each.join());
    if (found < 0) return [];
    recent = [];
    return [found];
  });
}

describe("the automaton of knock sequences", () => {
  test("finds what a slow search finds, and nothing else", () => {
    fc.assert(
      fc.property(sequences, knocks, (all, ports) => {
        expect(follow(all, ports)).toEqual(slowly(all, ports));
      }),
      { numRuns: 3_000 },
    );
  });

  test("no two states of different paths share a number, and one pair of state and port has one next", () => {
    fc.assert(
      fc.property(sequences, (all) => {
        const made = automaton(all.map((ports, index) => ({ ports, end: 1_000 + index })));
        const keys = made.map(({ state, port }) => `${state} ${port}`);
        expect(new Set(keys).size).toBe(keys.length);
      }),
    );
  });

  test("a state keeps its number when another sequence comes", () => {
    const one = automaton([{ ports: [1, 2, 3], end: 77 }]);
    const both = automaton([
      { ports: [4, 5, 6], end: 78 },
      { ports: [1, 2, 3], end: 77 },
    ]);
    expect(both).toEqual(expect.arrayContaining(one));
  });
});
