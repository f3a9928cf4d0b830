import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Repeater } from "../../server/repeater.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("it goes on while there is need of it, leaves no timer behind, and can begin again", () => {
  let [left, done] = [3, 0];
  const repeater = new Repeater(() => ++done < left, 1000);
  expect(vi.getTimerCount()).toBe(0);
  repeater.start();
  repeater.start();
  vi.advanceTimersByTime(2999);
  expect(done).toBe(2);
  vi.advanceTimersByTime(60_000);
  expect(done).toBe(3);
  expect(vi.getTimerCount()).toBe(0);
  left = 5;
  repeater.start();
  vi.advanceTimersByTime(60_000);
  expect(done).toBe(5);
  repeater.start();
  repeater.stop();
  expect(vi.getTimerCount()).toBe(0);
});
