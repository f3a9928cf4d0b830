import { DeviceTable } from "../../../server/core/device-table.ts";
import { KnockTracker } from "../../../server/core/knock-tracker.ts";
import { ReplayWindow } from "../../../server/core/replay-window.ts";
import { SpentSteps } from "../../../server/core/spent-steps.ts";
import type { TimeStep, UnixMillis } from "../../../shared/brand.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { knockSequence } from "../../../shared/knock-sequence.ts";
import { stepAt } from "../../../shared/time-step.ts";
import {
  address,
  bytesFrom,
  knockFrame,
  makeDevice,
  NOW,
  SEED,
  secretFrom,
  SERVER_ID,
} from "../../support/core.ts";
import type { Target } from "../loop.ts";

/** Histories, written as bytes: knocks, and uses of packets, with a clock that goes anywhere. */

const SHAPE = { first: 20_000, last: 20_015, length: 4 };
const SKEW = { past: 1, future: 1 };
const SOURCES = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(address);
const schedule = new KeySchedule(secretFrom("alice/phone"), SERVER_ID);
const devices = new DeviceTable({ serverId: SERVER_ID, skew: SKEW, knock: SHAPE, seed: SEED });
devices.put(makeDevice(), true);

const sequences = new Map<number, readonly number[]>();
function sequenceOf(step: number): readonly number[] {
  const known = sequences.get(step);
  if (known !== undefined) return known;
  const ports = knockSequence(SHAPE, (block) => schedule.derive("knock", step as TimeStep, block));
  sequences.set(step, ports);
  return ports;
}

interface Knock {
  readonly port: number;
  readonly at: number;
}

/**
 * Two bytes a knock: the port (of 16) and source, and how long after the one before. A hit is a sequence of the window, in
 * order, among the source's last 8 knocks of at most 10 s, ending with the newest; every such sequence is a hit.
 */
function knockTarget(input: Uint8Array): void {
  const tracker = new KnockTracker(devices, SEED, 4);
  const heard = SOURCES.map((): Knock[] => []);
  let now: number = NOW;
  for (let at = 0; at + 1 < input.length && at < 200; at += 2) {
    const [what = 0, wait = 0] = input.subarray(at, at + 2);
    now += wait < 200 ? wait * 10 : (wait - 228) * 3_000;
    devices.advance(now as UnixMillis);
    while (devices.work(100) > 0);
    const port = SHAPE.first + (what & 15);
    const which = (what >> 4) % SOURCES.length;
    const hit = tracker.knock(knockFrame(SOURCES[which]!, port), now as UnixMillis);
    const expected = stepsOf(heard[which]!, port, now);
    if (hit === undefined ? expected.length > 0 : !expected.includes(hit.step)) {
      throw new Error(`knock ${at / 2}: got ${hit?.step}, expected ${expected.join(" or ") || "nothing"}`);
    }
  }
}

/** The plain search. */
function stepsOf(history: Knock[], port: number, now: number): number[] {
  const isFresh = ({ at }: Knock): boolean => at <= now && now - at <= 10_000;
  const newest = history.at(-1);
  if (newest?.port === port && isFresh(newest)) return [];
  history.push({ port, at: now });
  const recent = history.slice(-8).filter(isFresh);
  const step = stepAt(now as UnixMillis);
  return [step - 1, step, step + 1].filter((step) => {
    const wanted = sequenceOf(step);
    if (wanted.at(-1) !== port) return false;
    let found = 0;
    for (const { port } of recent.slice(0, -1))
      if (port === wanted[found] && found < wanted.length - 1) found++;
    return found === wanted.length - 1;
  });
}

/**
 * Two bytes an event: a use (step and nonce), or the clock moves and old steps are forgotten. Nothing that was used is ever
 * new again, and nothing is refused that was neither used nor in a step that is spent.
 */
function windowTarget(input: Uint8Array): void {
  const window = new ReplayWindow<number>(new SpentSteps(), { perSecret: 1 << 16, total: 1 << 16 });
  const used = new Map<string, number>();
  const forgotten = new Set<number>();
  for (let at = 0; at + 1 < input.length && at < 400; at += 2) {
    const [what = 0, value = 0] = input.subarray(at, at + 2);
    if (what >= 0xc0) {
      const oldest = 100 + (value & 63);
      window.forget(oldest as TimeStep);
      for (const step of used.values()) if (step < oldest) forgotten.add(step);
      continue;
    }
    const step = 100 + (what & 63);
    const id = ids[value]!;
    const use = { step: step as TimeStep, id };
    const key = `${step} ${value}`;
    const { kind } = window.classify(use, SOURCES[0]!, 1);
    const expected = forgotten.has(step) ? "spent-step" : used.has(key) ? "duplicate" : "new";
    if (kind !== expected) throw new Error(`event ${at / 2}: ${kind}, expected ${expected}`);
    if (kind === "new") {
      window.record(use, SOURCES[0], 1);
      used.set(key, step);
    }
  }
}

const ids = Array.from({ length: 256 }, (_, value) => bytesFrom(`id ${value >> 4} ${value}`, 32));

const steps = [-1, 0, 1].map((by) => sequenceOf(stepAt(NOW) + by).map((port) => port - SHAPE.first));
const asKnocks = (ports: readonly number[], source = 0): number[] =>
  ports.flatMap((port) => [port | (source << 4), 2]);

export const KNOCK_TARGETS: readonly Target[] = [
  {
    name: "knock",
    seeds: [
      ...steps.map((ports) => Uint8Array.from(asKnocks(ports))),
      Uint8Array.from(asKnocks(steps[1]!, 2)),
    ],
    words: [
      ...steps.map((ports) => Uint8Array.from(asKnocks(ports))),
      Uint8Array.of(0, 0xfa),
      Uint8Array.of(0, 0xc8),
    ],
    run: knockTarget,
  },
  {
    name: "window",
    seeds: [Uint8Array.of(1, 1, 1, 1, 2, 2, 0xc0, 2, 1, 1), Uint8Array.of(5, 1, 0xc0, 9, 5, 1, 5, 2, 9, 1)],
    words: [Uint8Array.of(0xc0, 10), Uint8Array.of(0xc0, 63)],
    run: windowTarget,
  },
];
