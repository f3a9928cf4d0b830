import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TimeStep, UnixMillis } from "../../../shared/brand.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { knockSequence } from "../../../shared/knock-sequence.ts";
import { stepAt } from "../../../shared/time-step.ts";
import { DeviceTable } from "../../../server/core/device-table.ts";
import { KnockTracker } from "../../../server/core/knock-tracker.ts";
import { address, knockFrame, later, makeDevice, NOW, SEED, SERVER_ID } from "../../support/core.ts";

const SKEW = { past: 1, future: 1 };
const IDS = ["alice/phone", "alice/laptop", "bob/phone"] as const;
// So few ports that strays complete sequences all the time.
const SHAPES = [
  { first: 20_000, last: 20_006, length: 3 },
  { first: 20_000, last: 20_008, length: 4 },
  { first: 20_000, last: 20_015, length: 8 },
];
const SOURCES = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(address);

const knock = fc.record({
  source: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.constantFrom(1, 2) }),
  // A port by its number in the range, or the next one of a device's sequence.
  port: fc.oneof(
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 6 }) },
    {
      weight: 4,
      arbitrary: fc.record({ id: fc.constantFrom(...IDS), step: fc.integer({ min: -2, max: 2 }) }),
    },
    { weight: 20, arbitrary: fc.constant({ id: IDS[0], step: 0 }) },
  ),
  // Mostly at once, sometimes so late that knocks or steps have passed, sometimes with the clock set back.
  wait: fc.oneof(
    { weight: 20, arbitrary: fc.integer({ min: 0, max: 1000 }) },
    { weight: 2, arbitrary: fc.constantFrom(9_999, 10_000, 10_001, 30_000) },
    { weight: 1, arbitrary: fc.constantFrom(-1, -10_000, -90_000) },
  ),
});

describe.each(SHAPES)("the knock tracker, $length ports", (shape) => {
  test("finds what an obvious search finds, in any history", () => {
    let completed = 0;
    fc.assert(
      fc.property(fc.array(knock, { maxLength: 60, size: "max" }), (knocks) => {
        const devices = new DeviceTable({ serverId: SERVER_ID, skew: SKEW, knock: shape, seed: SEED });
        for (const id of IDS) devices.put(makeDevice(id), true);
        const tracker = new KnockTracker(devices, SEED, 2);
        const model = new Model(shape, 2);
        let now = NOW;
        const places = new Map<string, number>();
        for (const { source, port: choice, wait } of knocks) {
          now = later(now, wait);
          devices.advance(now);
          while (devices.work(100) > 0);
          let port = shape.first;
          if (typeof choice === "number") {
            port += choice;
          } else {
            const step = stepAt(now) + choice.step;
            const key = `${source} ${choice.id} ${step}`;
            const place = places.get(key) ?? 0;
            places.set(key, (place + 1) % shape.length);
            port = sequenceOf(choice.id, step, shape)[place] ?? port;
          }
          const from = SOURCES[source] ?? address("192.0.2.9");
          const hit = tracker.knock(knockFrame(from, port), now);
          const expected = model.knock(from.text, port, now);
          if (expected.length === 0) expect(hit).toBeUndefined();
          else expect(expected).toContain(`${hit?.device.id} ${hit?.step}`);
          completed += expected.length;
        }
      }),
      { numRuns: 200 },
    );
    expect(completed).toBeGreaterThan(0);
  });
});

const sequences = new Map<string, readonly number[]>();
function sequenceOf(id: string, step: number, shape: (typeof SHAPES)[number]): readonly number[] {
  const key = `${id} ${step} ${shape.length}`;
  const known = sequences.get(key);
  if (known !== undefined) return known;
  const schedule = new KeySchedule(makeDevice(id).current.secret, SERVER_ID);
  const ports = knockSequence(shape, (block) => schedule.derive("knock", step as TimeStep, block));
  sequences.set(key, ports);
  return ports;
}

/** Keeps everything, and looks through all of it each time. */
class Model {
  readonly #shape: (typeof SHAPES)[number];
  readonly #capacity: number;
  /** Least recently seen first. */
  readonly #knocks = new Map<string, { port: number; at: number }[]>();

  constructor(shape: (typeof SHAPES)[number], capacity: number) {
    this.#shape = shape;
    this.#capacity = capacity;
  }

  knock(source: string, port: number, now: UnixMillis): string[] {
    const known = this.#knocks.get(source);
    if (known === undefined && this.#knocks.size === this.#capacity) {
      this.#knocks.delete([...this.#knocks.keys()][0] ?? "");
    }
    const history = known ?? [];
    this.#knocks.delete(source);
    this.#knocks.set(source, history);
    const isFresh = ({ at }: { at: number }) => at <= now && now - at <= 10_000;
    const newest = history.at(-1);
    if (newest !== undefined && newest.port === port && isFresh(newest)) return [];
    history.push({ port, at: now });
    const recent = history.slice(-8).filter(isFresh);
    const found: string[] = [];
    for (const id of IDS) {
      for (const step of [-1, 0, 1].map((by) => stepAt(now) + by)) {
        const wanted = sequenceOf(id, step, this.#shape);
        if (
          endsWith(
            wanted,
            recent.map((entry) => entry.port),
          )
        )
          found.push(`${id} ${step}`);
      }
    }
    return found;
  }
}

/** Whether `wanted` is an ordered subsequence of `ports` with the newest as its last. */
function endsWith(wanted: readonly number[], ports: readonly number[]): boolean {
  if (wanted.length === 0) return true;
  if (ports.at(-1) !== wanted.at(-1)) return false;
  const rest = wanted.slice(0, -1);
  return (
    ports.some((_, index) => index > 0 && rest.length > 0 && endsWith(rest, ports.slice(0, index))) ||
    rest.length === 0
  );
}
