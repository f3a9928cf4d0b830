import type { Address } from "../shared/address.ts";
import type { DeviceId, UnixMillis } from "../shared/brand.ts";
import { NONCE_BYTES, TAG_BYTES } from "../shared/constants.ts";
import type { ReplyResult } from "../shared/reply.ts";
import type { Result } from "../shared/result.ts";
import type { Counters, DropReason } from "./core/counters.ts";
import type { Decision } from "./core/decision.ts";
import type { Device, Slot } from "./core/device.ts";
import type { AuditEvent } from "./core/event.ts";
import type { Firewall, Opened } from "./core/firewall.ts";
import { destinationOf, sourceOf } from "./core/frame.ts";
import type { Grant } from "./core/grant.ts";
import type { KnockTracker } from "./core/knock-tracker.ts";
import type { FrameView } from "./core/packet-source.ts";
import { decide, decideKnock, type CodeVerdict, type Policy } from "./core/policy.ts";
import { knockId, type ReplayWindow, type Use } from "./core/replay-window.ts";
import { makeReply } from "./core/reply.ts";
import type { Authentic, Verifier } from "./core/verify.ts";
import type { OpenGrants } from "./open-grants.ts";

/** What was answered, so that a duplicate can be told the same. */
export interface Told {
  readonly result: ReplyResult;
  readonly rotationDue: boolean;
  readonly lifetime: number;
}

/** Who sent a packet, and to where: the reply goes back the same way. */
interface Path {
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
  readonly destinationPort: number;
  readonly interfaceIndex: number;
}

/** What the gate needs of the rest of the daemon. */
export interface GateParts {
  readonly now: () => UnixMillis;
  readonly random: (bytes: number) => Uint8Array;
  readonly verifier: Verifier;
  readonly knocks: KnockTracker;
  readonly replays: ReplayWindow<Told>;
  readonly counters: Counters<DropReason>;
  readonly firewall: Pick<Firewall, "close"> & { open(grant: Grant): Result<Opened> };
  /** Writes a use down; nothing is done for a packet before. */
  readonly journal: (use: Use, source: Address) => Result<void>;
  readonly policy: () => Policy;
  readonly secrets: Secrets;
  readonly checkCode: (device: Device, code: number | undefined, now: UnixMillis) => CodeVerdict;
  readonly grants: Pick<OpenGrants, "add" | "close">;
  /** An authentic packet, or a knock, came from there. */
  readonly used: (device: DeviceId, source: Address, now: UnixMillis) => void;
  readonly emit: (event: AuditEvent) => void;
  /** Sends a datagram from where the packet was sent to; undefined = nobody is ever answered. */
  readonly answer: ((from: Path, payload: Uint8Array) => void) | undefined;
}

/** What becomes of a device's secrets. */
export interface Secrets {
  /** `next` was used: it is the device's secret from now on. Gives the device as it is then; undefined = not stored. */
  promote(device: Device, source: Address, now: UnixMillis): Device | undefined;
  /** Agrees on a `next` under the device's current secret. Anything but `rotated` changed nothing. */
  rotate(device: Device, ephemeral: Uint8Array, source: Address, now: UnixMillis): ReplyResult;
}

/** Takes every frame through the steps of the protocol, in its order, and does what was decided. */
export class Gate {
  readonly #parts: GateParts;

  constructor(parts: GateParts) {
    this.#parts = parts;
  }

  /** One frame from the capture. Never throws for anything that a frame can hold. */
  handle(frame: FrameView): void {
    if (frame.kind === "knock") this.#knock(frame);
    else this.#packet(frame);
  }

  #packet(frame: FrameView): void {
    const { verifier, counters, now } = this.#parts;
    const at = now();
    const verdict = verifier.verify(frame, at);
    if (verdict.kind === "drop") counters.count(verdict.reason);
    else this.#request(verdict, pathOf(frame), at);
  }

  #request(packet: Authentic, path: Path, at: UnixMillis): void {
    const { replays, counters, emit } = this.#parts;
    const standing = replays.classify(packet, path.source, path.sourcePort);
    const device = packet.device.id;
    switch (standing.kind) {
      case "new":
        if (this.#burn(packet, path.source, path.sourcePort)) {
          this.#reply(packet, path, this.#decide(packet, path, at));
        }
        return;
      case "duplicate":
        counters.count("duplicate");
        if (standing.answer !== undefined) this.#reply(packet, path, standing.answer);
        return;
      case "replay":
        counters.count("replay");
        emit({ kind: "replayed", device, source: path.source, first: standing.first });
        return;
      case "spent-step":
      case "too-many":
        counters.count(standing.kind);
        emit({
          kind: "refused",
          device,
          source: path.source,
          service: packet.request.service,
          rule: standing.kind,
        });
    }
  }

  /** True once the use is written down. */
  #burn(use: Use, source: Address, port: number | undefined): boolean {
    const { journal, replays, counters, emit } = this.#parts;
    const written = journal(use, source);
    if (!written.ok) {
      counters.count("journal");
      emit({ kind: "journal-error", message: written.error.message });
      return false;
    }
    replays.record(use, source, port);
    return true;
  }

  #decide(packet: Authentic, { source }: Path, at: UnixMillis): Told {
    const { policy, secrets, checkCode, used } = this.#parts;
    const promoted = packet.slot === "next" ? secrets.promote(packet.device, source, at) : undefined;
    const device = promoted ?? packet.device;
    if (packet.slot !== "retired") used(device.id, source, at);
    const slot = promoted === undefined ? packet.slot : "current";
    const ask = {
      device,
      slot,
      request: packet.request,
      source,
      checkCode: (code: number | undefined) => checkCode(device, code, at),
    };
    return this.#act(
      decide(ask, policy(), at),
      { device, slot, source, via: packet.form, request: packet.request },
      at,
    );
  }

  /** Does what was decided; gives what the sender is told. */
  #act(decision: Decision, asked: Asked, at: UnixMillis): Told {
    const { secrets, grants, emit } = this.#parts;
    const { source } = asked;
    const device = asked.device.id;
    switch (decision.kind) {
      case "grant":
        return this.#open(decision, asked);
      case "close": {
        const closed = grants.close(device, decision.service, decision.source);
        if (!closed.ok) return this.#failed(closed.error.message, asked);
        emit({ kind: "closed", device, source, service: decision.service, allowed: decision.source });
        return { result: "closed", rotationDue: decision.rotationDue, lifetime: 0 };
      }
      case "rotate":
        // A `next` that could not be stored as current cannot be built upon.
        return plain(
          asked.slot === "current" ? secrets.rotate(asked.device, decision.ephemeral, source, at) : "refused",
        );
      case "pong":
        return { result: "pong", rotationDue: decision.rotationDue, lifetime: 0 };
      case "refuse":
        emit({ kind: "refused", device, source, service: asked.request?.service, rule: decision.rule });
        return plain(decision.result);
      case "alarm":
        emit({
          kind: asked.request?.type === "rotate" ? "enrolment-reused" : "retired-secret-used",
          device,
          source,
        });
        return plain("expired");
    }
  }

  #open({ grant, capped, rotationDue }: Extract<Decision, { kind: "grant" }>, asked: Asked): Told {
    const { firewall, emit, grants } = this.#parts;
    const start = performance.now();
    const opened = firewall.open(grant);
    if (!opened.ok) return this.#failed(opened.error.message, asked, grant);
    grants.add(grant);
    emit({
      kind: "granted",
      device: grant.device,
      source: asked.source,
      via: asked.via,
      service: grant.service.name,
      allowed: grant.source,
      ...(grant.prefix !== undefined && { prefix: grant.prefix }),
      lifetime: grant.lifetime,
      capped,
      ...(opened.value === "unguarded" && { unguarded: true }),
      micros: Math.round((performance.now() - start) * 1000),
    });
    return { result: "opened", rotationDue, lifetime: Math.min(grant.lifetime, 0xffff) };
  }

  #failed(message: string, { device }: Asked, grant?: Grant): Told {
    const service = grant === undefined ? {} : { service: grant.service.name };
    this.#parts.emit({ kind: "firewall-error", message, device: device.id, ...service });
    return plain("firewall-error");
  }

  #reply(packet: Authentic, path: Path, told: Told): void {
    const { answer, replays, random, now } = this.#parts;
    if (answer === undefined || !packet.request.replyWanted) return;
    replays.answered(packet, told);
    const asked = {
      nonce: packet.id.subarray(TAG_BYTES),
      transactionId: packet.transactionId,
      detail: packet.request.detail ?? 0,
      schedule: packet.schedule,
      step: packet.step,
    };
    const { source, sourcePort } = path;
    const bytes = makeReply(asked, { ...told, serverTime: now(), source, sourcePort }, random(NONCE_BYTES));
    answer(path, bytes);
  }

  #knock(frame: FrameView): void {
    const { knocks, now, replays, counters, policy, used } = this.#parts;
    const at = now();
    const hit = knocks.knock(frame, at);
    if (hit === undefined) return;
    const source = sourceOf(frame);
    const use = { step: hit.step, id: knockId(hit.schedule.tag(hit.step)) };
    const standing = replays.classify(use, source, 0).kind;
    if (standing !== "new") {
      const rule = standing === "spent-step" ? standing : "knock-used";
      counters.count(rule);
      this.#parts.emit({ kind: "refused", device: hit.device.id, source, service: undefined, rule });
      return;
    }
    if (!this.#burn(use, source, undefined)) return;
    used(hit.device.id, source, at);
    const asked = { device: hit.device, slot: hit.slot, source, via: "knock" as const, request: undefined };
    for (const decision of decideKnock(asked, policy(), at)) this.#act(decision, asked, at);
  }
}

interface Asked {
  readonly device: Device;
  readonly slot: Slot;
  readonly source: Address;
  readonly via: "spa" | "stun" | "knock";
  readonly request: Authentic["request"] | undefined;
}

function plain(result: ReplyResult): Told {
  return { result, rotationDue: false, lifetime: 0 };
}

function pathOf(frame: FrameView): Path {
  const { sourcePort, destinationPort, interfaceIndex } = frame;
  return {
    source: sourceOf(frame),
    sourcePort,
    destination: destinationOf(frame),
    destinationPort,
    interfaceIndex,
  };
}
