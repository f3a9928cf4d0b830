import { randomBytes } from "node:crypto";
import { openSync } from "node:fs";
import { type DeviceId, type ServiceName, seconds, type UnixMillis } from "../shared/brand.ts";
import { KeySchedule } from "../shared/key-schedule.ts";
import { encodeRequest } from "../shared/request.ts";
import { ok } from "../shared/result.ts";
import { sealPacket } from "../shared/seal.ts";
import { Secret } from "../shared/secret.ts";
import { stepAt } from "../shared/time-step.ts";
import { Counters, DROP_REASONS } from "./core/counters.ts";
import { DeviceTable } from "./core/device-table.ts";
import { Frame } from "./core/frame.ts";
import type { Grant, Service } from "./core/grant.ts";
import { KnockTracker } from "./core/knock-tracker.ts";
import { ReplayWindow } from "./core/replay-window.ts";
import { SpentSteps } from "./core/spent-steps.ts";
import type { User } from "./core/user.ts";
import { Verifier } from "./core/verify.ts";
import { Gate } from "./gate.ts";
import { freeSlots } from "./store/journal-file.ts";
import { Journal } from "./store/live-journal.ts";

const PACKETS = 500;
/** Made at once; others wait for a millisecond or two at most. */
const AT_ONCE = 5;
const SEED = [0, 0] as const;
/** A name that no configuration has. */
const SERVICE: Service = {
  name: randomBytes(8).toString("hex") as ServiceName,
  ports: [],
  ttl: seconds(1),
  maxTtl: seconds(1),
  secondFactor: false,
};
const USER: User = {
  name: "nobody",
  enabled: true,
  services: [SERVICE.name],
  expiresAt: undefined,
  networks: [],
  deny: [],
  mayKnock: false,
  hours: undefined,
  bindsPort: false,
  connections: 0,
  address: "packet",
  widen: { 4: undefined, 6: undefined },
  maxTtl: undefined,
  secondFactor: false,
};
const POLICY = {
  users: new Map([[USER.name, USER]]),
  services: new Map([[SERVICE.name, SERVICE]]),
  rotateAfter: undefined,
  expireAfter: undefined,
};

/**
 * Sends packets of a device that does not exist through a gate that leads nowhere, so that the code is compiled by the
 * time that a real one comes: the first would take some ten milliseconds otherwise, and the next ones twice as long as
 * need be. `open` gets the grants, for a service that cannot exist; `done`, if given, is told how many were answered.
 */
export function warmUp(open: (grant: Grant) => void, done?: (answered: number) => void): void {
  const journal = nowhere();
  // A start never fails for want of a rehearsal.
  if (journal === undefined) return;
  let [made, answered] = [0, 0];
  const send = rehearsal(open, journal, () => answered++);
  const go = (): void => {
    for (let n = 0; n < AT_ONCE; n++) send();
    made += AT_ONCE;
    if (made < PACKETS) setImmediate(go);
    else {
      journal.close();
      done?.(answered);
    }
  };
  setImmediate(go);
}

/** A journal whose writes go nowhere; undefined where that cannot be opened. */
function nowhere(): Journal | undefined {
  const header = {
    capacity: PACKETS,
    serverId: new Uint8Array(16),
    bootId: undefined,
    floor: -1,
    doubt: -1,
    inode: 0n,
  };
  try {
    return new Journal("rehearsal", openSync("/dev/null", "w"), { header, slots: freeSlots(PACKETS) });
  } catch {
    return undefined;
  }
}

/** What makes a packet and hands it in. */
function rehearsal(open: (grant: Grant) => void, journal: Journal, answer: () => void): () => void {
  const now = Date.now() as UnixMillis;
  const serverId = randomBytes(16);
  const secret = new Secret(randomBytes(32));
  const devices = new DeviceTable({ serverId, skew: { past: 0, future: 0 }, knock: undefined, seed: SEED });
  devices.put(
    {
      id: "nobody/nothing" as DeviceId,
      enabled: true,
      current: { secret, since: now },
      currentUntil: undefined,
      next: undefined,
      nextFromLink: false,
      retired: [],
      enrolling: false,
      isStatic: true,
      services: undefined,
      expiresAt: undefined,
    },
    false,
  );
  devices.advance(now);
  devices.work(1);
  const nothing = (): void => undefined;
  const gate = new Gate({
    now: () => now,
    random: (length) => new Uint8Array(length),
    verifier: new Verifier(devices),
    knocks: new KnockTracker(devices, SEED, 1),
    replays: new ReplayWindow(new SpentSteps()),
    counters: new Counters(DROP_REASONS),
    firewall: {
      open: (grant) => {
        open(grant);
        return ok("confirmed");
      },
      close: () => ok(undefined),
    },
    journal: (use, source) => journal.append(use, source),
    policy: () => POLICY,
    secrets: { promote: () => undefined, rotate: () => "refused" },
    checkCode: () => "missing",
    grants: { add: nothing, close: () => ok(undefined) },
    used: nothing,
    emit: nothing,
    answer,
  });
  const keys = new KeySchedule(secret, serverId).keys(stepAt(now));
  const request = encodeRequest({
    type: "open",
    replyWanted: true,
    sentAt: now,
    otp: undefined,
    allow: undefined,
    fromPort: undefined,
    lifetime: 0,
    connections: 0,
    service: SERVICE.name,
    body: undefined,
  });
  const frame = new Frame();
  return () => {
    const packet = sealPacket(keys, randomBytes(24), request);
    // 20 bytes of zeros stand for the addresses.
    const bytes = new Uint8Array(20 + packet.length);
    bytes.set(packet, 20);
    frame.attach(bytes);
    frame.destinationAt = 4;
    frame.payloadAt = 20;
    frame.payloadLength = packet.length;
    gate.handle(frame);
  };
}
