import { describe, expect, test } from "vitest";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { knockSequence } from "../../../shared/knock-sequence.ts";
import { stepAt } from "../../../shared/time-step.ts";
import type { UnixMillis } from "../../../shared/brand.ts";
import { DeviceTable } from "../../../server/core/device-table.ts";
import { KnockTracker } from "../../../server/core/knock-tracker.ts";
import {
  address,
  knockFrame,
  later,
  makeDevice,
  NOW,
  SEED,
  secretFrom,
  SERVER_ID,
} from "../../support/core.ts";

const SHAPE = { first: 10_000, last: 32_767, length: 4 };
const HERE = "192.0.2.1";
const STRAYS = [20_001, 20_002, 20_003, 20_004, 20_005];

function sequenceOf(name = "alice/phone", at: UnixMillis = NOW): number[] {
  const schedule = new KeySchedule(secretFrom(name), SERVER_ID);
  return knockSequence(SHAPE, (block) => schedule.derive("knock", stepAt(at), block));
}

/** A daemon's ears: knocks on ports, one each 20 ms; gives whose sequence they complete. */
function ears(device = makeDevice(), mayKnock = true, sources = 16) {
  const devices = new DeviceTable({
    serverId: SERVER_ID,
    skew: { past: 1, future: 1 },
    knock: SHAPE,
    seed: SEED,
  });
  devices.put(device, mayKnock);
  const tracker = new KnockTracker(devices, SEED, sources);
  let now = NOW;
  return {
    devices,
    knock: (ports: readonly number[], source = HERE, spacing = 20): string[] => {
      const completed: string[] = [];
      for (const port of ports) {
        now = later(now, spacing);
        devices.advance(now);
        while (devices.work(1000) > 0);
        const hit = tracker.knock(knockFrame(address(source), port), now);
        if (hit !== undefined) completed.push(`${hit.device.id} ${hit.slot} ${hit.step - stepAt(NOW)}`);
      }
      return completed;
    },
    wait: (millis: number): void => {
      now = later(now, millis);
    },
  };
}

const [a = 0, b = 0, c = 0, d = 0] = sequenceOf();
const DONE = ["alice/phone current 0"];

describe("a sequence of four", () => {
  test("its ports are four, none of them a stray", () => {
    expect(new Set([a, b, c, d, ...STRAYS]).size).toBe(9);
  });

  test.each<[string, number[], string[]]>([
    ["in order", [a, b, c, d], DONE],
    ["backwards", [d, c, b, a], []],
    ["two swapped", [a, c, b, d], []],
    ["the first three", [a, b, c], []],
    ["the last three", [b, c, d], []],
    ["one stray between each two", [a, 20_001, b, 20_002, c, 20_003, d], DONE],
    ["four strays in between", [a, b, ...STRAYS.slice(0, 4), c, d], DONE],
    ["five strays in between", [a, b, ...STRAYS, c, d], []],
    ["five strays before", [...STRAYS, a, b, c, d], DONE],
    ["each packet sent again at once", [a, a, b, b, b, c, d, d], DONE],
    ["the first sent again later", [a, b, a, c, d], DONE],
    ["the last one with a stray after it", [a, b, c, d, 20_001], DONE],
    ["twice", [a, b, c, d, a, b, c, d], [...DONE, ...DONE]],
    ["a wrong try, then the right one", [a, b, d, c, a, b, c, d], DONE],
    ["with a stray as the last", [a, b, c, 20_001], []],
    ["a port out of the range", [a, b, c, 9], []],
  ])("%s", (_, ports, expected) => {
    expect(ears().knock(ports)).toEqual(expected);
  });

  test.each<[string, (port: number) => number]>([
    ["ascending", (index) => SHAPE.first + index],
    ["descending", (index) => SHAPE.last - index],
  ])("every port of the range, %s, completes nothing", (_, portAt) => {
    const all = Array.from({ length: SHAPE.last - SHAPE.first + 1 }, (_, index) => portAt(index));
    const { knock } = ears();
    expect(knock(all, HERE, 0)).toEqual([]);
    expect(knock([a, b, c, d])).toEqual(DONE);
  });

  test.each([
    [3333, DONE],
    [3334, []],
  ])("at most 10 s from the first to the last: %i ms apart", (spacing, expected) => {
    expect(ears().knock([a, b, c, d], HERE, spacing)).toEqual(expected);
  });

  test("each source for itself, however they are mixed", () => {
    const { knock } = ears();
    expect(knock([a, b], "192.0.2.1")).toEqual([]);
    expect(knock([a, b, c], "192.0.2.2")).toEqual([]);
    expect(knock([c, d], "2001:db8::1")).toEqual([]);
    expect(knock([c, d], "192.0.2.1")).toEqual(DONE);
    expect(knock([d], "192.0.2.2")).toEqual(DONE);
    expect(knock([a, b, c, d], "2001:db8::1")).toEqual(DONE);
  });

  test("an IPv4 address is not the IPv6 address with the same last bytes", () => {
    const { knock } = ears();
    expect(knock([a, b], "192.0.2.1")).toEqual([]);
    expect(knock([c, d], "::c000:201")).toEqual([]);
  });

  test("of the step before and the one after, while they are in the window", () => {
    const before = sequenceOf("alice/phone", later(NOW, -30_000));
    const after = sequenceOf("alice/phone", later(NOW, 30_000));
    const { knock } = ears();
    expect(knock(before)).toEqual(["alice/phone current -1"]);
    expect(knock(after)).toEqual(["alice/phone current 1"]);
    expect(knock(sequenceOf("alice/phone", later(NOW, -60_000)))).toEqual([]);
    expect(knock(sequenceOf("alice/phone", later(NOW, 60_000)))).toEqual([]);
  });

  test("begun in the window and ended after it", () => {
    const { knock, wait } = ears();
    wait(45_000);
    expect(knock([a, b, c])).toEqual([]);
    wait(5_000);
    expect(knock([d])).toEqual([]);
  });

  test("when the sources are more than are remembered, the longest unheard is forgotten and nobody else", () => {
    const { knock } = ears(makeDevice(), true, 4);
    knock([a, b], "192.0.2.1");
    for (const source of ["192.0.2.2", "192.0.2.3", "192.0.2.4"]) knock([20_001], source);
    expect(knock([c, d], "192.0.2.1")).toEqual(DONE);
    knock([a, b], "192.0.2.1");
    for (const source of ["192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8"]) knock([20_001], source);
    expect(knock([c, d], "192.0.2.1")).toEqual([]);
    expect(knock([a, b, c, d], "192.0.2.1")).toEqual(DONE);
  });

  test("a clock set back forgets what was heard before", () => {
    const { knock, wait } = ears();
    knock([a, b]);
    wait(-5_000);
    expect(knock([c, d])).toEqual([]);
    expect(knock([a, b, c, d])).toEqual(DONE);
  });
});

describe("whose sequences count", () => {
  const next = { secret: secretFrom("next"), since: NOW };
  const retired = [{ secret: secretFrom("retired"), until: later(NOW, 1e9) }];

  test("the current secret's and the next one's, not a retired one's", () => {
    const { knock } = ears(makeDevice("alice/phone", { next, retired }));
    expect(knock(sequenceOf("alice/phone"))).toEqual(DONE);
    expect(knock(sequenceOf("next"))).toEqual(["alice/phone next 0"]);
    expect(knock(sequenceOf("retired"))).toEqual([]);
  });

  test("not an enrolment secret's", () => {
    expect(ears(makeDevice("alice/phone", { enrolling: true })).knock(sequenceOf())).toEqual([]);
  });

  test("not a user's who may not knock, from the moment that is so", () => {
    const hears = ears(makeDevice(), false);
    expect(hears.knock(sequenceOf())).toEqual([]);
    hears.devices.put(makeDevice(), true);
    expect(hears.knock(sequenceOf())).toEqual(DONE);
    hears.devices.put(makeDevice(), false);
    expect(hears.knock(sequenceOf())).toEqual([]);
  });

  test("not a removed device's", () => {
    const hears = ears();
    hears.knock([a, b, c]);
    hears.devices.remove(makeDevice().id);
    expect(hears.knock([d])).toEqual([]);
  });
});
