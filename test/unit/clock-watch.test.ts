import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { ClockWatch } from "../../server/clock-watch.ts";
import { SpentSteps } from "../../server/core/spent-steps.ts";
import { initialiseJournal, openJournal } from "../../server/store/journal.ts";
import { type UnixMillis, timeStep, unixMillis } from "../../shared/brand.ts";
import { unwrap } from "../../shared/result.ts";
import { stepAt } from "../../shared/time-step.ts";
import { NOW, SERVER_ID } from "../support/core.ts";

const MINUTE = 60_000;
const clocks = { wall: 0, monotonic: 0, boot: 0 };
let jumps: number[];
let watch: ClockWatch;
const pass = (millis: number, ...which: (keyof typeof clocks)[]): void => {
  for (const clock of which) clocks[clock] += millis;
};

beforeEach(() => {
  Object.assign(clocks, { wall: NOW, monotonic: 5, boot: 9_000 });
  jumps = [];
  const parts = {
    wall: () => clocks.wall as UnixMillis,
    monotonic: () => clocks.monotonic,
    boot: () => clocks.boot,
  };
  watch = new ClockWatch(parts, (to) => jumps.push(to));
});

describe("the watch over the clock", () => {
  test("time that passes is no jump, however rarely it is asked for", () => {
    for (const millis of [1, 30_000, 3_600_000, 86_400_000]) {
      pass(millis, "wall", "monotonic", "boot");
      expect(watch.now()).toBe(clocks.wall);
    }
    expect(jumps).toEqual([]);
  });

  test("a clock that is slewed is no jump", () => {
    for (let n = 0; n < 1000; n++) {
      pass(30_000, "monotonic", "boot");
      pass(30_015, "wall");
      watch.now();
    }
    expect(jumps).toEqual([]);
  });

  test("a jump forward is told before the new time is given, once", () => {
    pass(MINUTE, "wall");
    expect(jumps).toEqual([]);
    expect(watch.now()).toBe(NOW + MINUTE);
    expect(jumps).toEqual([NOW + MINUTE]);
    watch.now();
    pass(MINUTE, "wall", "monotonic", "boot");
    watch.now();
    expect(jumps).toHaveLength(1);
  });

  test("a clock that is set back is none, and a jump after it is", () => {
    pass(-MINUTE, "wall");
    watch.now();
    expect(jumps).toEqual([]);
    pass(MINUTE, "wall");
    watch.now();
    expect(jumps).toEqual([NOW]);
  });

  test("the machine's sleep is none", () => {
    pass(8 * 3600_000, "wall", "boot");
    watch.now();
    expect(jumps).toEqual([]);
  });
});

describe("doubt after a jump", () => {
  test("goes to the end of the window that is then, where there was any; elsewhere nothing was lost", () => {
    const doubtful = new SpentSteps(-1, [], 100);
    expect(doubtful.extend(timeStep(500))).toBe(true);
    expect([500, 501].map((n) => doubtful.has(timeStep(n)))).toEqual([true, false]);
    expect(doubtful.extend(timeStep(400))).toBe(false);
    expect(doubtful.doubt).toBe(500);
    const floored = new SpentSteps(100);
    expect([floored.extend(timeStep(500)), floored.has(timeStep(500))]).toEqual([true, true]);
    const clean = new SpentSteps();
    expect([clean.extend(timeStep(500)), clean.has(timeStep(1))]).toEqual([false, false]);
  });

  test("a machine that lost power and starts with a clock that is behind takes nothing of the steps before", () => {
    const folder = mkdtempSync(join(tmpdir(), "tock-jump-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "journal");
    const bootIdPath = join(folder, "boot-id");
    const boot = (id: string): void => writeFileSync(bootIdPath, `${id.repeat(32)}\n`);
    const open = (now: number) =>
      unwrap(
        openJournal({
          path,
          serverId: SERVER_ID,
          skew: { past: 1, future: 1 },
          now: unixMillis(now),
          lock: () => true,
          bootIdPath,
        }),
      );
    boot("a");
    unwrap(initialiseJournal(path, SERVER_ID));
    const before = open(NOW);
    const lost = readFileSync(path);
    const use = { step: stepAt(NOW), id: new Uint8Array(32).fill(7) };
    unwrap(before.append(use, undefined));
    before.close();
    // The power goes: what was written last is lost, and so is the time.
    writeFileSync(path, lost);
    boot("b");
    const behind = NOW - 10 * MINUTE;
    const after = open(behind);
    expect(after.spent.has(use.step)).toBe(false);
    // The clock is put right, 20 s after the packet was used.
    unwrap(after.extendDoubt(timeStep(stepAt(unixMillis(NOW + 20_000)) + 1)));
    expect(after.spent.has(use.step)).toBe(true);
    after.close();
    const again = open(NOW + 25_000);
    expect(again.spent.has(use.step)).toBe(true);
    again.close();
  });
});
