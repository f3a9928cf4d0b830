import { linkSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TimeStep, UnixMillis } from "../../../shared/brand.ts";
import { unwrap } from "../../../shared/result.ts";
import { skewWindow } from "../../../shared/time-step.ts";
import { ReplayWindow } from "../../../server/core/replay-window.ts";
import { initialiseJournal, type Journal } from "../../../server/store/journal.ts";
import { address, later, NOW, SERVER_ID } from "../../support/core.ts";
import { Machine, stepBy, useOf } from "../../support/journal.ts";

const SKEW = { past: 1, future: 1 };
const here = address("192.0.2.1");

/** The replay side of a daemon, on a machine that is treated badly. */
class Daemon {
  readonly #machine = new Machine();
  /** How often each use was taken. */
  readonly taken = new Map<string, number>();
  #now: UnixMillis = NOW;
  #boots = 0;
  #onDisk: Buffer;
  #journal: Journal;
  #window: ReplayWindow<never>;

  constructor() {
    unwrap(initialiseJournal(this.#machine.path, SERVER_ID));
    [this.#journal, this.#window] = this.#start();
    this.#onDisk = this.#read();
  }

  /** Whether a packet is taken, by the rules of the window and the journal together. */
  take(name: string, by: number): boolean {
    const step = stepBy(by, this.#now);
    const use = useOf(`${name} ${step}`, step);
    if (!skewWindow(this.#now, SKEW).includes(step)) return false;
    if (this.#window.classify(use, here, 1).kind !== "new") return false;
    unwrap(this.#journal.append(use, here));
    this.#window.record(use, here, 1);
    this.taken.set(`${name} ${step}`, (this.taken.get(`${name} ${step}`) ?? 0) + 1);
    return true;
  }

  /** The clock goes on, or is set; what was written until then reaches the disk. */
  tick(by: number): void {
    this.#now = later(this.#now, by);
    const steps = skewWindow(this.#now, SKEW);
    unwrap(this.#journal.forget(steps[0] as TimeStep, steps.at(-1) as TimeStep));
    this.#window.forget(steps[0] as TimeStep);
    this.#onDisk = this.#read();
  }

  restart(): void {
    this.#journal.close();
    [this.#journal, this.#window] = this.#start();
  }

  /** Power is lost, and with it what did not reach the disk. The file is the same one. */
  reboot(): void {
    writeFileSync(this.#machine.path, this.#onDisk, { flag: "r+" });
    truncateSync(this.#machine.path, this.#onDisk.length);
    this.#machine.boot(`${++this.#boots}`.padStart(8, "0").concat("-2222-3333-4444-555555555555"));
    this.restart();
    this.#onDisk = this.#read();
  }

  lose(): void {
    rmSync(this.#machine.path);
    this.restart();
    this.#onDisk = this.#read();
  }

  stop(): void {
    this.#journal.close();
  }

  #read(): Buffer {
    return readFileSync(this.#machine.path);
  }

  #start(): [Journal, ReplayWindow<never>] {
    const journal = unwrap(this.#machine.open(this.#now, SKEW));
    return [journal, windowOf(journal)];
  }
}

function windowOf(journal: Journal): ReplayWindow<never> {
  const window = new ReplayWindow<never>(journal.spent);
  for (const entry of journal.entries) window.record(entry, entry.source, undefined);
  return window;
}

type Action = (daemon: Daemon) => unknown;
const take = fc.tuple(fc.constantFrom("a", "b"), fc.integer({ min: -2, max: 2 })).map(
  ([name, by]): Action =>
    (daemon) =>
      daemon.take(name, by),
);
const forward = fc.integer({ min: 0, max: 70_000 }).map(
  (by): Action =>
    (daemon) =>
      daemon.tick(by),
);
const jump = fc.constantFrom(-3_600_000, -900_000, -300_000, -60_000, -30_000, 300_000, 3_600_000).map(
  (by): Action =>
    (daemon) =>
      daemon.tick(by),
);
const restart = fc.constant<Action>((daemon) => daemon.restart());
const reboot = fc.constant<Action>((daemon) => daemon.reboot());
const lose = fc.constant<Action>((daemon) => daemon.lose());
const histories = (...actions: fc.Arbitrary<Action>[]) =>
  fc.array(fc.oneof(take, take, ...actions), { maxLength: 40 });

function play(actions: readonly Action[], after: (daemon: Daemon) => void): void {
  const daemon = new Daemon();
  try {
    for (const action of actions) action(daemon);
    after(daemon);
  } finally {
    daemon.stop();
  }
}

const takesNothingTwice = (daemon: Daemon): void => {
  expect([...daemon.taken].filter(([, times]) => times > 1)).toEqual([]);
};

describe("window and journal together", () => {
  test("take nothing twice, whatever the clock does, through any number of restarts", () => {
    let takes = 0;
    fc.assert(
      fc.property(histories(forward, jump, restart), (actions) => {
        play(actions, (daemon) => {
          takesNothingTwice(daemon);
          takes += daemon.taken.size;
        });
      }),
      { numRuns: 150 },
    );
    expect(takes).toBeGreaterThan(100);
  });

  test("nor when power or the journal is lost, as long as the clock goes forward", () => {
    fc.assert(
      fc.property(histories(forward, restart, reboot, lose), (actions) => play(actions, takesNothingTwice)),
      { numRuns: 100 },
    );
  });

  test("take what is new within two minutes after any mishap", () => {
    const mishaps = fc.array(fc.oneof(take, forward, restart, reboot, lose), { maxLength: 20 });
    fc.assert(
      fc.property(mishaps, (actions) =>
        play(actions, (daemon) => {
          daemon.tick(120_000);
          expect([-1, 0, 1].map((by) => daemon.take("fresh", by))).toEqual([true, true, true]);
        }),
      ),
      { numRuns: 60 },
    );
  });

  test("also after a start with a clock that runs hours ahead and is put right", () => {
    const mishaps = fc.array(fc.oneof(take, forward, restart, reboot), { maxLength: 20 });
    fc.assert(
      fc.property(mishaps, mishaps, (before, after) =>
        play(before, (daemon) => {
          daemon.tick(5 * 3_600_000);
          daemon.reboot();
          daemon.tick(-5 * 3_600_000);
          for (const action of after) action(daemon);
          daemon.tick(120_000);
          expect([-1, 0, 1].map((by) => daemon.take("fresh", by))).toEqual([true, true, true]);
        }),
      ),
      { numRuns: 40 },
    );
  });
});

/** A journal with a spent step and five uses, which can be put back as it was, byte by byte and inode. */
class Victim {
  readonly whole: Buffer;
  readonly #machine = new Machine();
  readonly #uses = [-1, 0, 0, 1, 1, -5].map((by, index) => useOf(`${index}`, stepBy(by)));
  readonly #original: string;

  constructor() {
    const { path } = this.#machine;
    unwrap(initialiseJournal(path, SERVER_ID));
    this.#machine.run((journal) => {
      unwrap(journal.append(this.#uses.at(-1) ?? useOf("old"), here));
      unwrap(journal.forget(stepBy(-1), stepBy(1)));
      for (const use of this.#uses.slice(0, -1)) unwrap(journal.append(use, here));
    });
    this.whole = readFileSync(path);
    this.#original = `${path}.original`;
    linkSync(path, this.#original);
  }

  /** Puts other bytes in the same file and starts a daemon: gives how many of the uses it takes, which should be 0. */
  takes(bytes: Buffer): number {
    const { path } = this.#machine;
    linkSync(this.#original, `${path}.again`);
    renameSync(`${path}.again`, path);
    rmSync(`${path}.again`, { force: true });
    writeFileSync(path, bytes, { flag: "r+" });
    truncateSync(path, bytes.length);
    return this.#machine.run((journal) => {
      const window = windowOf(journal);
      return this.#uses.filter((use) => window.classify(use, here, 1).kind === "new").length;
    });
  }
}

function changed(bytes: Buffer, at: number, by: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ by;
  return copy;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

// The header, what is in use, and the first free slots; the others are all the same.
const BUSY = 128 + 64 * 8;

describe("a journal that anything but the daemon has changed lets nothing in again", () => {
  test("as it was, it is trusted", () => {
    const victim = new Victim();
    expect(victim.takes(victim.whole)).toBe(0);
  });

  test("every byte changed, within what is in use", () => {
    const victim = new Victim();
    const end = victim.whole.length;
    const places = [...upTo(BUSY), ...upTo(64 * 2).map((at) => end - 1 - at)];
    for (const at of places)
      expect(victim.takes(changed(victim.whole, at, 1 << (at % 8))), `byte ${at}`).toBe(0);
  });

  test("every length that is shorter, within what is in use", () => {
    const victim = new Victim();
    const end = victim.whole.length;
    const lengths = [...upTo(BUSY), ...upTo(64 * 2).map((less) => end - 1 - less)];
    for (const length of lengths)
      expect(victim.takes(victim.whole.subarray(0, length)), `${length} bytes`).toBe(0);
  });

  test("anything else: bytes set, parts zeroed, moved, cut out or put in", () => {
    const victim = new Victim();
    const place = fc.nat(victim.whole.length - 1);
    const near = fc.nat(BUSY);
    const at = fc.oneof(place, near);
    const edit = fc.oneof(
      fc.tuple(at, fc.uint8Array({ maxLength: 80 })).map(([at, bytes]) => (old: Buffer) => {
        const copy = Buffer.from(old);
        copy.set(bytes.subarray(0, Math.max(0, copy.length - at)), Math.min(at, copy.length));
        return copy;
      }),
      fc.tuple(at, fc.nat(4096)).map(
        ([at, length]) =>
          (old: Buffer) =>
            Buffer.from(old).fill(0, Math.min(at, old.length), Math.min(at + length, old.length)),
      ),
      fc.tuple(near, near, fc.constantFrom(64, 128, 192)).map(([from, to, length]) => (old: Buffer) => {
        const copy = Buffer.from(old);
        copy.copyWithin(to, from, from + length);
        return copy;
      }),
      fc.tuple(at, fc.nat(200)).map(
        ([at, less]) =>
          (old: Buffer) =>
            Buffer.concat([old.subarray(0, at), old.subarray(at + less)]),
      ),
      fc.tuple(at, fc.uint8Array({ maxLength: 200 })).map(
        ([at, more]) =>
          (old: Buffer) =>
            Buffer.concat([old.subarray(0, at), more, old.subarray(at)]),
      ),
    );
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const bytes = edits.reduce((old, edit) => edit(old), victim.whole);
        expect(victim.takes(bytes)).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
