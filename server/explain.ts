import type { Address } from "../shared/address.ts";
import type { UnixMillis } from "../shared/brand.ts";
import type { Settings } from "./config/settings.ts";
import type { DropReason } from "./core/counters.ts";
import type { Decision } from "./core/decision.ts";
import type { Device } from "./core/device.ts";
import { DeviceTable } from "./core/device-table.ts";
import { sourceOf } from "./core/frame.ts";
import { KnockTracker } from "./core/knock-tracker.ts";
import type { FrameView } from "./core/packet-source.ts";
import { decide, decideKnock } from "./core/policy.ts";
import { knockId, type ReplayWindow } from "./core/replay-window.ts";
import { Verifier } from "./core/verify.ts";
import { isKnockUsed, mayKnock, policyOf } from "./plans.ts";

/** What the daemon would do with a packet, and why. */
export interface Explanation {
  /** `ignored`: a knock that completes nothing. */
  readonly verdict: "dropped" | "ignored" | Decision["kind"];
  readonly why: string;
  readonly from: string;
  readonly at: string;
  readonly device?: string;
  readonly service?: string;
  readonly form?: "spa" | "stun" | "knock";
  readonly seconds?: number;
}

const WORDS: Readonly<Record<DropReason, string>> = {
  size: "not of a packet's size",
  form: "no STUN Binding Request that carries a packet",
  tag: "no device has this tag in the steps of the window: unknown device, another server's, or a clock that is off",
  forged: "a device's tag, but not made with its key",
  "spent-step": "of a step in which packets may have been used that nobody remembers",
  malformed: "authentic, but no request of this version",
  clock: "authentic, but its sending time is not of the step that its keys are of",
  duplicate: "used already, from the same address",
  replay: "used already, from another address",
  "too-many": "the device has used more packets in this step than are remembered",
  journal: "it could not be written down as used",
  "knock-used": "the knock sequence of this step was used already",
};

export interface ExplainParts {
  readonly settings: Settings;
  readonly serverId: Uint8Array;
  readonly devices: readonly Device[];
  readonly replays: ReplayWindow<never>;
}

/** Takes packets through the daemon's own steps, and does nothing for them. */
export class Explainer {
  readonly #parts: ExplainParts;
  readonly #table: DeviceTable;
  readonly #verifier: Verifier;
  readonly #knocks: KnockTracker;

  constructor(parts: ExplainParts) {
    const { settings, serverId, devices } = parts;
    this.#parts = parts;
    const knock = isKnockUsed(settings) ? settings.knock : undefined;
    const seed = [1, 2] as const;
    this.#table = new DeviceTable({ serverId, skew: settings.skew, knock, seed });
    for (const device of devices) this.#table.put(device, mayKnock(settings, device));
    this.#verifier = new Verifier(this.#table);
    this.#knocks = new KnockTracker(this.#table, seed, 4096);
  }

  /** What would become of a frame that came at `at`. Frames of a file are to be given in order. */
  frame(frame: FrameView, at: UnixMillis): Explanation {
    const source = sourceOf(frame);
    return frame.kind === "knock" ? this.#knock(frame, source, at) : this.packet(frame, source, at);
  }

  /** The same for the payload of a datagram. */
  packet(
    payload: Pick<FrameView, "bytes" | "payloadAt" | "payloadLength">,
    source: Address,
    at: UnixMillis,
  ): Explanation {
    this.#follow(at);
    const facts = { from: source.text, at: new Date(at).toISOString() };
    const verdict = this.#verifier.verify(payload, at);
    if (verdict.kind === "drop") return { verdict: "dropped", why: WORDS[verdict.reason], ...facts };
    const { device, slot, request, form } = verdict;
    const who = { ...facts, device: device.id, form, ...(request.service && { service: request.service }) };
    const standing = this.#parts.replays.classify(verdict, source, 0).kind;
    if (standing !== "new") return { verdict: "dropped", why: WORDS[standing], ...who };
    this.#parts.replays.record(verdict, source, 0);
    let isCodeAsked = false;
    const checkCode = (code: number | undefined): "ok" | "missing" => {
      isCodeAsked = code !== undefined;
      return isCodeAsked ? "ok" : "missing";
    };
    const decision = decide({ device, slot, request, source, checkCode }, policyOf(this.#parts.settings), at);
    const note = isCodeAsked ? "; if its second-factor code is right, which was not looked at" : "";
    return { ...told(decision), ...who, why: `${told(decision).why}${note}` };
  }

  #knock(frame: FrameView, source: Address, at: UnixMillis): Explanation {
    this.#follow(at);
    const facts = { from: source.text, at: new Date(at).toISOString(), form: "knock" as const };
    const hit = this.#knocks.knock(frame, at);
    if (hit === undefined) return { verdict: "ignored", why: "a knock that completes no sequence", ...facts };
    const who = { ...facts, device: hit.device.id };
    const use = { step: hit.step, id: knockId(hit.schedule.tag(hit.step)) };
    if (this.#parts.replays.classify(use, source, 0).kind !== "new") {
      return { verdict: "dropped", why: WORDS["knock-used"], ...who };
    }
    this.#parts.replays.record(use, source, 0);
    const [first] = decideKnock(
      { device: hit.device, slot: hit.slot, source },
      policyOf(this.#parts.settings),
      at,
    );
    return {
      ...(first === undefined
        ? { verdict: "ignored" as const, why: "the device has no service" }
        : told(first)),
      ...who,
    };
  }

  #follow(at: UnixMillis): void {
    this.#table.advance(at);
    while (this.#table.work(1024) > 0);
  }
}

function told(decision: Decision): Pick<Explanation, "verdict" | "why" | "seconds" | "service"> {
  const verdict = decision.kind;
  switch (decision.kind) {
    case "grant": {
      const { service, source, lifetime } = decision.grant;
      const cap = decision.capped ? ", which is less than it asks for" : "";
      return {
        verdict,
        why: `opens ${service.name} to ${source.text} for ${lifetime} s${cap}`,
        seconds: lifetime,
        service: service.name,
      };
    }
    case "close":
      return { verdict, why: `closes ${decision.service} to ${decision.source.text}` };
    case "rotate":
      return { verdict, why: "agrees on a new secret with the device" };
    case "pong":
      return { verdict, why: "answers, and changes nothing" };
    case "refuse":
      return { verdict, why: `refused by the rule ${decision.rule}` };
    case "alarm":
      return { verdict, why: "made with a secret that was replaced: somebody may have a copy" };
  }
}
