import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { UnixMillis } from "../../shared/brand.ts";
import { ok } from "../../shared/result.ts";
import { stepAt } from "../../shared/time-step.ts";
import { DeviceTable } from "../../server/core/device-table.ts";
import { StepClock } from "../../server/step-clock.ts";
import { makeDevice, NOW, SEED, Sender, SERVER_ID } from "../support/core.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a clock that is set forward is followed within two seconds, not at the end of a step", () => {
  const device = makeDevice();
  const sender = new Sender(device.current.secret);
  const skew = { past: 1, future: 1 };
  const devices = new DeviceTable({ serverId: SERVER_ID, skew, knock: undefined, seed: SEED });
  devices.put(device, false);
  let now: number = NOW;
  const clock = new StepClock({
    now: () => now as UnixMillis,
    skew,
    devices,
    replays: { forget: () => undefined },
    journal: { forget: () => ok(undefined) },
  });
  clock.start();
  now += 3_600_000;
  const packet = sender.packet(undefined, now as UnixMillis);
  devices.advance(now as UnixMillis);
  expect(devices.findTag(packet, 0)).toBeUndefined();
  vi.advanceTimersByTime(2_200);
  expect(devices.findTag(packet, 0)?.step).toBe(stepAt(now as UnixMillis));
  clock.stop();
});
