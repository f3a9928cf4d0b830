import { Address } from "../../shared/address.ts";
import { type DeviceId, type TimeStep, type UnixMillis, unixMillis, userOf } from "../../shared/brand.ts";
import { KeySchedule } from "../../shared/key-schedule.ts";
import { type KnockShape, knockSequence } from "../../shared/knock-sequence.ts";
import { type Skew, stepStart } from "../../shared/time-step.ts";
import { STEP_MILLIS } from "../../shared/constants.ts";
import { hex } from "../../shared/bytes.ts";
import type { Device, Slot } from "../core/device.ts";
import type { Door, StepWalks, Walk } from "../core/knock-rules.ts";
import { decideKnock, type Policy } from "../core/policy.ts";
import type { User } from "../core/user.ts";

/** A device that rules cannot let in, and why, as the audit names it. */
export interface LeftOut {
  readonly device: DeviceId;
  readonly rule: string;
}

/** What walks are made of. */
export interface WalkMaker {
  readonly serverId: Uint8Array;
  readonly shape: KnockShape;
  readonly policy: Policy;
  readonly devices: readonly Device[];
  /** When the kernel is to let a step begin, and end it. */
  readonly boundsOf: (step: TimeStep) => { readonly from: UnixMillis; readonly until: UnixMillis };
}

/** Any address does: what depends on it is left to the rules. */
const ANYBODY = Address.v4(Uint8Array.of(192, 0, 2, 1));

/** A step is valid from when it enters the skew window until it leaves it. */
export function windowOf(skew: Skew): WalkMaker["boundsOf"] {
  return (step) => ({
    from: unixMillis(Math.max(0, stepStart(step) - skew.future * STEP_MILLIS)),
    until: unixMillis(stepStart(step) + (skew.past + 1) * STEP_MILLIS),
  });
}

/** The walks of one step for every device that may knock, and those that may but cannot by rules alone. */
export function walksOf(
  step: TimeStep,
  maker: WalkMaker,
  now: UnixMillis,
): StepWalks & { readonly leftOut: readonly LeftOut[] } {
  const bounds = maker.boundsOf(step);
  const walks: Walk[] = [];
  const leftOut: LeftOut[] = [];
  for (const device of maker.devices) {
    const user = maker.policy.users.get(userOf(device.id));
    if (user?.mayKnock !== true) continue;
    if (device.enrolling) {
      leftOut.push({ device: device.id, rule: "enrolment" });
      continue;
    }
    const slots =
      device.next === undefined || device.nextFromLink
        ? (["current"] as const)
        : (["current", "next"] as const);
    for (const slot of slots) {
      const doors = doorsOf(device, slot, user, maker.policy, now, bounds.until);
      if (typeof doors === "string") leftOut.push({ device: device.id, rule: doors });
      else
        walks.push({
          ...walk(device, slot, step, maker),
          device: device.id,
          slot,
          doors,
          ...networksOf(user),
        });
    }
  }
  return { step, ...bounds, walks, leftOut };
}

/** What a knock opens, now and as long as the step is valid; else the rule that stands in the way. */
function doorsOf(
  device: Device,
  slot: Slot,
  user: User,
  policy: Policy,
  now: UnixMillis,
  until: UnixMillis,
): Door[] | string {
  if (user.connections > 0) return "connections";
  const anywhere = new Map([[user.name, { ...user, networks: [], deny: [] }]]);
  const ask = { device, slot, source: ANYBODY };
  const doorsAt = (at: UnixMillis): Door[] | string => {
    const decisions = decideKnock(ask, { ...policy, users: anywhere }, at);
    const doors = decisions.flatMap((each) =>
      each.kind === "grant" ? [{ service: each.grant.service.name, seconds: each.grant.lifetime }] : [],
    );
    const refused = decisions.find((each) => each.kind === "refuse");
    return doors.length > 0 ? doors : (refused?.rule ?? "user-service");
  };
  const doors = doorsAt(now);
  if (typeof doors === "string") return doors;
  // Rules know no date of expiry: whoever's time ends before a late knock's door would close is left out already.
  const later = doorsAt(until);
  return JSON.stringify(later) === JSON.stringify(doors)
    ? doors
    : typeof later === "string"
      ? later
      : "expires-soon";
}

function walk(
  device: Device,
  slot: Slot,
  step: TimeStep,
  { serverId, shape }: WalkMaker,
): Pick<Walk, "id" | "ports"> {
  const secret = slot === "next" && device.next !== undefined ? device.next.secret : device.current.secret;
  const schedule = new KeySchedule(secret, serverId);
  return {
    id: hex(schedule.tag(step)),
    ports: knockSequence(shape, (block) => schedule.derive("knock", step, block)),
  };
}

function networksOf({ networks, deny }: User): Pick<Walk, "networks" | "deny"> {
  return { networks, deny };
}
