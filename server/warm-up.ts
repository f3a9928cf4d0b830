import { randomBytes } from "node:crypto";
import type { DeviceId, UnixMillis } from "../shared/brand.ts";
import { KeySchedule } from "../shared/key-schedule.ts";
import { encodeRequest } from "../shared/request.ts";
import { ok } from "../shared/result.ts";
import { sealPacket } from "../shared/seal.ts";
import { Secret } from "../shared/secret.ts";
import { stepAt } from "../shared/time-step.ts";
import { Counters, DROP_REASONS } from "./core/counters.ts";
import { DeviceTable } from "./core/device-table.ts";
import { Frame } from "./core/frame.ts";
import { KnockTracker } from "./core/knock-tracker.ts";
import { ReplayWindow } from "./core/replay-window.ts";
import { SpentSteps } from "./core/spent-steps.ts";
import { Verifier } from "./core/verify.ts";
import { Gate } from "./gate.ts";

const PACKETS = 500;
/** Made at once; others wait for a millisecond or two at most. */
const AT_ONCE = 5;
const SEED = [0, 0] as const;

/**
 * Sends packets of a device that does not exist through a gate that leads nowhere, so that the code is compiled by the
 * time that a real one comes: the first would take some ten milliseconds otherwise, and the next ones twice as long as
 * need be. `done`, if given, is told how many were answered.
 */
export function warmUp(done?: (answered: number) => void): void {
  let [made, answered] = [0, 0];
  const send = rehearsal(() => answered++);
  const go = (): void => {
    for (let n = 0; n < AT_ONCE; n++) send();
    made += AT_ONCE;
    if (made < PACKETS) setImmediate(go);
    else done?.(answered);
  };
  setImmediate(go);
}

/** What makes a packet and hands it in. */
function rehearsal(answer: () => void): () => void {
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
    firewall: { open: () => ok("confirmed"), close: () => ok(undefined) },
    journal: () => ok(undefined),
    policy: () => ({ users: new Map(), services: new Map(), rotateAfter: undefined, expireAfter: undefined }),
    secrets: { promote: () => undefined, rotate: () => "refused" },
    checkCode: () => "missing",
    grants: { add: nothing, close: () => ok(undefined) },
    used: nothing,
    emit: nothing,
    answer,
  });
  const keys = new KeySchedule(secret, serverId).keys(stepAt(now));
  const request = encodeRequest({
    type: "ping",
    replyWanted: true,
    sentAt: now,
    otp: undefined,
    allow: undefined,
    fromPort: undefined,
    lifetime: 0,
    connections: 0,
    service: undefined,
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
