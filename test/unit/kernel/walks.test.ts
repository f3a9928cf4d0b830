import { describe, expect, test } from "vitest";
import { checkLimits } from "../../../server/kernel/limits.ts";
import { walksOf, windowOf } from "../../../server/kernel/walks.ts";
import type { Device } from "../../../server/core/device.ts";
import type { User } from "../../../server/core/user.ts";
import { seconds, type UnixMillis, unixMillis } from "../../../shared/brand.ts";
import { hex } from "../../../shared/bytes.ts";
import { KNOCK_DEFAULTS, STEP_MILLIS } from "../../../shared/constants.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { knockSequence } from "../../../shared/knock-sequence.ts";
import { stepAt, stepStart } from "../../../shared/time-step.ts";
import { makeDevice, makeUser, NOW, secretFrom, SERVER_ID, serviceName } from "../../support/core.ts";

const STEP = stepAt(NOW);
const SKEW = { past: 1, future: 1 };
const ssh = {
  name: serviceName("ssh"),
  ports: [],
  ttl: seconds(30),
  maxTtl: seconds(600),
  secondFactor: false,
};

function walks(device: Partial<Device> = {}, user: Partial<User> = {}, now: UnixMillis = NOW) {
  const policy = {
    users: new Map([["alice", makeUser(user)]]),
    services: new Map([[ssh.name, ssh]]),
    rotateAfter: undefined,
    expireAfter: undefined,
  };
  const devices = [makeDevice("alice/phone", device)];
  return walksOf(
    STEP,
    { serverId: SERVER_ID, shape: KNOCK_DEFAULTS, policy, devices, boundsOf: windowOf(SKEW) },
    now,
  );
}

const until = unixMillis(stepStart(STEP) + 2 * STEP_MILLIS);

describe("walks of a step", () => {
  test("are the device's sequence, known by its tag, for the steps of the window", () => {
    const made = walks();
    const schedule = new KeySchedule(secretFrom("alice/phone"), SERVER_ID);
    expect(made).toMatchObject({
      step: STEP,
      from: stepStart(STEP) - STEP_MILLIS,
      until,
      leftOut: [],
      walks: [
        {
          id: hex(schedule.tag(STEP)),
          ports: knockSequence(KNOCK_DEFAULTS, (block) => schedule.derive("knock", STEP, block)),
          doors: [{ service: "ssh", seconds: 30 }],
        },
      ],
    });
  });

  test("has one for each secret that works, but not for one that came from a link", () => {
    const next = { secret: secretFrom("next"), since: NOW };
    expect(walks({ next }).walks.map(({ slot }) => slot)).toEqual(["current", "next"]);
    expect(walks({ next, nextFromLink: true }).walks.map(({ slot }) => slot)).toEqual(["current"]);
    expect(walks({ retired: [{ secret: secretFrom("old"), until }] }).walks).toHaveLength(1);
  });

  test("a user's shorter lifetime is the door's", () => {
    expect(walks({}, { maxTtl: seconds(10) }).walks[0]?.doors).toEqual([{ service: "ssh", seconds: 10 }]);
  });

  const reasons: Readonly<Record<string, readonly [Partial<Device>, Partial<User>, string]>> = {
    "a device whose link was not used": [{ enrolling: true }, {}, "enrolment"],
    "a disabled device": [{ enabled: false }, {}, "device-disabled"],
    "a disabled user": [{}, { enabled: false }, "user-disabled"],
    "counted connections": [{}, { connections: 2 }, "connections"],
    "a second factor": [{}, { secondFactor: true }, "second-factor-missing"],
    "an address that must be named": [{}, { address: "claimed-must-match" }, "address-not-claimed"],
    "a device that has expired": [{ expiresAt: NOW }, {}, "device-expired"],
    "a device that expires while the step lasts": [
      { expiresAt: unixMillis(until - 1) },
      {},
      "device-expired",
    ],
    "a user who expires while a late knock's door would be open": [
      {},
      { expiresAt: unixMillis(until + 29_000) },
      "expires-soon",
    ],
  };
  test.each(Object.entries(reasons))("leaves out %s", (_, [device, user, rule]) => {
    expect(walks(device, user)).toMatchObject({
      walks: [],
      leftOut: [{ device: "alice/phone", rule }],
    });
  });

  test("takes in a device that expires just after that", () => {
    expect(walks({ expiresAt: unixMillis(until + 30_000) }).walks).toHaveLength(1);
  });

  test("says nothing of who may not knock", () => {
    expect(walks({}, { mayKnock: false })).toMatchObject({ walks: [], leftOut: [] });
  });
});

describe("limits", () => {
  const iptables = { mostDevices: 64, room: 100 };
  test.each([
    [64, iptables, true],
    [65, iptables, false],
    [64, { mostDevices: 64, room: 50 }, false],
    [1000, { mostDevices: 1000, room: undefined }, true],
  ] as const)("%i devices within %o: %s", (devices, limits, fits) => {
    expect(checkLimits(devices, limits).ok).toBe(fits);
  });
});
