import type { Device } from "../../server/core/device.ts";
import type { Decision } from "../../server/core/decision.ts";
import { decide, type Policy } from "../../server/core/policy.ts";
import { agreed, promoted } from "../../server/core/rotation.ts";
import type { Secret } from "../../shared/secret.ts";
import {
  address,
  bytesFrom,
  makeDevice,
  makeRequest,
  makeService,
  makeUser,
  NOW,
  secretFrom,
} from "./core.ts";

/**
 * Enrolment and rotation as steps that can be taken in any order: the daemon's are its own pure functions, the client's
 * are those of client/rotation.ts written as a table. Secrets have names; a new one is named after the secret and the
 * ephemeral key that it comes from. States are values, and equal states have equal keys.
 */

export interface Disk {
  readonly current: string;
  readonly enrolling: boolean;
  readonly next:
    | { readonly name: string; readonly ephemeral: string; readonly acknowledged: boolean }
    | undefined;
}

/** What a holder of a secret is doing. Volatile: a crash ends it. */
interface Op {
  readonly phase: "ask" | "trial" | "rotate" | "prove";
  /** This run made `next`, so the daemon cannot know it yet. */
  readonly isNew: boolean;
  readonly reply: Result | undefined;
}

export interface Holder {
  readonly disk: Disk;
  readonly op: Op | undefined;
  /** Ephemeral keys made so far. */
  readonly made: number;
}

type Result = "opened" | "rotated" | "rotate-first" | "expired" | "refused" | "pong";

/** A packet on its way. `isAwaited`: its sender still waits for the answer. */
interface Packet {
  readonly holder: number;
  readonly secret: string;
  /** Undefined = it asks to open. */
  readonly ephemeral: string | undefined;
  readonly isAwaited: boolean;
}

export interface State {
  readonly device: Device;
  readonly holders: readonly Holder[];
  readonly packets: readonly Packet[];
  /** The owner has been told that something is wrong. */
  readonly alarmed: boolean;
}

const secrets = new Map<string, Secret>();
const names = new Map<string, string>();

export function secretOf(name: string): Secret {
  const known = secrets.get(name);
  if (known !== undefined) return known;
  const secret = secretFrom(name);
  secrets.set(name, secret);
  names.set(Buffer.from(secret.expose()).toString("hex"), name);
  return secret;
}

export function nameOf(secret: Secret): string {
  return names.get(Buffer.from(secret.expose()).toString("hex")) ?? "?";
}

const service = makeService();
const POLICY: Policy = {
  users: new Map([["alice", makeUser()]]),
  services: new Map([[service.name, service]]),
  rotateAfter: undefined,
  expireAfter: undefined,
};
const SOURCE = address("192.0.2.7");

/** So many holders of one link, or of one secret in use. */
export function begin(what: "link" | "secret", holders: number): State {
  const enrolling = what === "link";
  const device = makeDevice("alice/phone", {
    current: { secret: secretOf("S"), since: NOW },
    enrolling,
  });
  const holder: Holder = { disk: { current: "S", enrolling, next: undefined }, op: undefined, made: 0 };
  return { device, holders: Array.from({ length: holders }, () => holder), packets: [], alarmed: false };
}

export function keyOf({ device, holders, packets, alarmed }: State): string {
  const { current, next, enrolling, nextFromLink, retired } = device;
  const stored = [
    nameOf(current.secret),
    next && nameOf(next.secret),
    enrolling,
    nextFromLink,
    retired.map(({ secret }) => nameOf(secret)),
  ];
  const flying = packets.map((packet) => JSON.stringify(Object.values(packet))).sort();
  return JSON.stringify([stored, holders, flying, alarmed]);
}

interface Served {
  readonly device: Device;
  readonly result: Result | undefined;
  readonly alarm: boolean;
}

/** What the daemon makes of a fresh packet, as server/gate.ts and server/stored-secrets.ts put the pure functions together. */
export function serve(device: Device, name: string, ephemeral: string | undefined): Served {
  const secret = secretOf(name);
  const isRetired = device.retired.some((old) => old.secret.equals(secret));
  const isNext = device.next?.secret.equals(secret) === true;
  if (!isRetired && !isNext && !device.current.secret.equals(secret))
    return { device, result: undefined, alarm: false };
  const now = isNext ? promoted(device, NOW) : device;
  const request =
    ephemeral === undefined
      ? makeRequest()
      : makeRequest({ type: "rotate", service: undefined, body: bytesFrom(ephemeral, 32) });
  const slot = isRetired ? "retired" : "current";
  const decision = decide(
    { device: now, slot, request, source: SOURCE, checkCode: () => "missing" },
    POLICY,
    NOW,
  );
  return act(now, decision, name, ephemeral ?? "");
}

function act(device: Device, decision: Decision, name: string, ephemeral: string): Served {
  switch (decision.kind) {
    case "grant":
      return { device, result: "opened", alarm: false };
    case "alarm":
      return { device, result: "expired", alarm: true };
    case "refuse":
      return { device, result: decision.result as Result, alarm: false };
    case "rotate": {
      const agreement = agreed(device, secretOf(`${name}+${ephemeral}`), NOW);
      if (agreement.kind === "agreed") return { device: agreement.device, result: "rotated", alarm: false };
      if (agreement.kind === "known") return { device, result: "rotated", alarm: false };
      return {
        device,
        result: agreement.kind === "link-used" ? "expired" : "refused",
        alarm: agreement.kind === "link-used",
      };
    }
    case "close":
    case "pong":
      return { device, result: "pong", alarm: false };
  }
}

/** Every state that one event leads to. */
export function* successors(state: State): Generator<State> {
  for (const [index, holder] of state.holders.entries()) {
    if (holder.op === undefined) {
      yield* starts(state, index, holder);
      continue;
    }
    // The reply is read, or its time is up (the packet may still be on its way), or the client is killed.
    if (holder.op.reply !== undefined) yield* answered(state, index, holder, holder.op.reply);
    yield* answered(state, index, holder, undefined);
    yield put(state, index, { ...holder, op: undefined });
  }
  for (const [at, packet] of state.packets.entries()) {
    const rest = { ...state, packets: state.packets.toSpliced(at, 1) };
    yield rest; // lost, or the daemon died after it was written down as used
    const { device, result, alarm } = serve(state.device, packet.secret, packet.ephemeral);
    const served = { ...rest, device, alarmed: state.alarmed || alarm };
    yield served; // the answer is lost, or the daemon died after it had stored what it did
    const holder = state.holders[packet.holder];
    if (packet.isAwaited && result !== undefined && holder?.op !== undefined) {
      const waiting = { ...holder, op: { ...holder.op, reply: result } };
      yield { ...served, holders: served.holders.with(packet.holder, waiting) };
    }
  }
}

/** A holder begins: opens with what it has, or rotates. */
function* starts(state: State, index: number, holder: Holder): Generator<State> {
  const { disk, made } = holder;
  if (disk.next !== undefined) {
    yield send(state, index, holder, { phase: "trial", isNew: false, reply: undefined });
    return;
  }
  if (!disk.enrolling) yield send(state, index, holder, { phase: "ask", isNew: false, reply: undefined });
  if (made >= MOST_MADE) return;
  const ephemeral = `${"ab"[index]}${made}`;
  const next = { name: `${disk.current}+${ephemeral}`, ephemeral, acknowledged: false };
  const stored: Holder = { disk: { ...disk, next }, op: undefined, made: made + 1 };
  yield put(state, index, stored); // killed once it was on disk
  yield send(state, index, stored, { phase: "rotate", isNew: true, reply: undefined });
}

/** Rotations that one holder may begin: more would only rename. */
const MOST_MADE = 2;

function* answered(state: State, index: number, holder: Holder, reply: Result | undefined): Generator<State> {
  const { disk, op } = holder;
  if (op === undefined) return;
  const idle = { ...holder, op: undefined };
  const { next } = disk;
  if (op.phase === "ask" || next === undefined) {
    yield put(state, index, idle);
  } else if (op.phase === "rotate") {
    if (reply === "rotated") {
      const acknowledged = { ...holder, disk: { ...disk, next: { ...next, acknowledged: true } } };
      yield send(state, index, acknowledged, { phase: "prove", isNew: op.isNew, reply: undefined });
    } else if (reply === "expired" && !op.isNew) {
      yield send(state, index, holder, { phase: "prove", isNew: false, reply: undefined });
    } else if (reply !== undefined && !disk.enrolling) {
      yield send(
        state,
        index,
        { ...holder, disk: { ...disk, next: undefined } },
        { phase: "ask", isNew: false, reply: undefined },
      );
    } else {
      yield put(state, index, idle);
    }
  } else if (reply !== undefined) {
    yield put(state, index, { ...idle, disk: { current: next.name, enrolling: false, next: undefined } });
  } else if (op.phase === "trial") {
    yield send(state, index, holder, { phase: "rotate", isNew: false, reply: undefined });
  } else {
    yield put(state, index, idle);
  }
}

/** The holder sends the packet of its phase, and waits for this one alone. */
function send(state: State, index: number, holder: Holder, op: Op): State {
  const { disk } = holder;
  const isUnderCurrent = op.phase === "ask" || op.phase === "rotate";
  const packet: Packet = {
    holder: index,
    secret: isUnderCurrent ? disk.current : (disk.next?.name ?? disk.current),
    ephemeral: op.phase === "rotate" ? disk.next?.ephemeral : undefined,
    isAwaited: true,
  };
  const sent = put(state, index, { ...holder, op });
  return { ...sent, packets: [...sent.packets, packet] };
}

/** Replaces a holder; whatever it waited for it waits for no more. */
function put(state: State, index: number, holder: Holder): State {
  const packets = state.packets.map((packet) =>
    packet.holder === index && packet.isAwaited ? { ...packet, isAwaited: false } : packet,
  );
  return { ...state, packets, holders: state.holders.with(index, holder) };
}

/** Runs one holder with nothing lost and nobody else about, until it has opened or given up; gives the state then. */
export function runClean(state: State, index: number): { readonly state: State; readonly opened: boolean } {
  const crashed = state.holders[index];
  if (crashed === undefined) return { state, opened: false };
  let now = put({ ...state, packets: [] }, index, { ...crashed, op: undefined });
  for (let round = 0; round < 12; round++) {
    const holder = now.holders[index];
    if (holder === undefined) break;
    if (holder.op === undefined) {
      const [first] = starts(now, index, { ...holder, made: 0 });
      if (first === undefined) break;
      now = first.packets.length > 0 ? first : now;
      if (first.packets.length === 0) now = first;
      continue;
    }
    const packet = now.packets.find(({ isAwaited }) => isAwaited);
    if (packet === undefined) break;
    const { device, result, alarm } = serve(now.device, packet.secret, packet.ephemeral);
    now = { ...now, device, packets: [], alarmed: now.alarmed || alarm };
    if (result === "opened") return { state: now, opened: true };
    const [after] = answered(now, index, holder, result);
    if (after === undefined) break;
    now = after;
  }
  return { state: now, opened: false };
}
