import { expect, test } from "vitest";
import { judge, type Sample } from "../soak/judge.ts";

/** An hour's samples, one a minute, with noise that comes back and goes. */
function hour(change: (minute: number) => Partial<Sample> = () => ({})): Sample[] {
  return Array.from({ length: 60 }, (_, minute) => ({
    minutes: minute + 1,
    genuine: 400 * (minute + 1),
    megabytes: 130 + 6 * Math.sin(minute * 1.7),
    descriptors: 36 + (minute % 7 === 0 ? 1 : 0),
    lost: 0,
    output: 400 * 500 * (minute + 1),
    trail: 400 * 700 * (minute + 1),
    wal: 4_000_000,
    state: 500_000 + 20_000 * (minute % 3),
    ...change(minute),
  }));
}

test("noise is flat, and so is what settles in the first third", () => {
  expect(judge(hour())).toEqual([]);
  expect(judge(hour((minute) => ({ megabytes: 100 + 40 * (1 - Math.exp(-minute / 5)) })))).toEqual([]);
});

test.each([
  ["memory grows: 19.5 MB", (minute: number) => ({ megabytes: 130 + minute / 2 })],
  ["descriptors grow: 1.0", (minute: number) => ({ descriptors: 36 + minute / 39 })],
  ["the ring lost 3 packets", (minute: number) => ({ lost: minute > 30 ? 3 : 0 })],
  ["the state folder grows: 390000 bytes", (minute: number) => ({ state: 400_000 + minute * 10_000 })],
  [
    "output: 1066 bytes a packet, first 342",
    (minute: number) => ({
      output: minute < 30 ? 400 * 342 * minute : 400 * (342 * 30 + 1315 * (minute - 30)),
    }),
  ],
  [
    "the audit trail has 70000000 bytes",
    (minute: number) => ({ trail: minute === 59 ? 70_000_000 : 60_000_000 + minute }),
  ],
] as const)("%s", (problem, change) => {
  expect(judge(hour(change)).map((text) => text.slice(0, problem.length))).toContain(problem);
});
