import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchRules } from "../../../server/firewall/watch.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

/** How often it was looked in each of so many polls of five seconds, where the kernel gives these generations. */
function looks(generations: readonly (number | undefined)[] | undefined, polls: number): number[] {
  let [looked, poll] = [0, 0];
  const ask = generations && ((): number | undefined => generations[Math.min(poll, generations.length - 1)]);
  const stop = watchRules(
    () => looked++,
    () => undefined,
    ask,
  );
  const counts: number[] = [];
  for (; poll < polls; poll++) {
    looked = 0;
    vi.advanceTimersByTime(5_000);
    counts.push(looked);
  }
  stop();
  looked = 0;
  vi.advanceTimersByTime(60_000);
  expect(looked).toBe(0);
  return counts;
}

test("where nobody tells of changes it is looked at every poll", () => {
  expect(looks(undefined, 4)).toEqual([1, 1, 1, 1]);
  expect(looks([undefined], 4)).toEqual([1, 1, 1, 1]);
});

test("while the generation is the same it is looked once, and then once a minute", () => {
  expect(looks([7], 26)).toEqual(Array.from({ length: 26 }, (_, poll) => (poll % 12 === 0 ? 1 : 0)));
});

test("a new generation is looked at, one that comes back to an old number too", () => {
  expect(looks([7, 7, 8, 8, 7, 7], 6)).toEqual([1, 0, 1, 0, 1, 0]);
});

test("a kernel that stops telling is not trusted", () => {
  expect(looks([7, 7, undefined, undefined, 7, 7], 6)).toEqual([1, 0, 1, 1, 1, 0]);
});
