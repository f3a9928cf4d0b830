import type { TimeStep, UnixMillis } from "../../shared/brand.ts";
import { NONCE_BYTES, PACKET_BYTES, TAG_BYTES } from "../../shared/constants.ts";
import type { KeySchedule } from "../../shared/key-schedule.ts";
import { decodeRequest, type Request } from "../../shared/request.ts";
import { openPacket } from "../../shared/seal.ts";
import {
  decodeStunRequest,
  isSigned,
  STUN_MAX_BYTES,
  STUN_MIN_BYTES,
  type StunRequest,
} from "../../shared/stun.ts";
import { stepAt } from "../../shared/time-step.ts";
import type { DropReason } from "./counters.ts";
import type { Device, Slot } from "./device.ts";
import type { DeviceTable, Hit } from "./device-table.ts";
import type { FrameView } from "./packet-source.ts";
import { decodeTag, findStunPacket } from "./stun-scan.ts";

/** A datagram that leads to nothing. */
export interface Dropped {
  readonly kind: "drop";
  readonly reason: Extract<DropReason, "size" | "form" | "tag" | "forged" | "malformed" | "clock">;
}

/** A request that a device's own key made, in a step of the window. Whether it is fresh is not known yet. */
export interface Authentic {
  readonly kind: "authentic";
  readonly form: "spa" | "stun";
  readonly device: Device;
  readonly slot: Slot;
  readonly step: TimeStep;
  readonly schedule: KeySchedule;
  readonly request: Request;
  /** tag || nonce, 32 bytes: what makes the packet one of its kind. */
  readonly id: Uint8Array;
  /** STUN form only, 12 bytes. */
  readonly transactionId: Uint8Array | undefined;
}

export type Verdict = Dropped | Authentic;

const drop = (reason: Dropped["reason"]): Dropped => Object.freeze({ kind: "drop", reason });
const SIZE = drop("size");
const FORM = drop("form");
const TAG = drop("tag");
const FORGED = drop("forged");
const MALFORMED = drop("malformed");
const CLOCK = drop("clock");

/** Tells what a datagram is, in the order that costs least: size and form, tag, AEAD, strict decoding, time. */
export class Verifier {
  #devices: DeviceTable;
  readonly #tag = new Uint8Array(TAG_BYTES);

  constructor(devices: DeviceTable) {
    this.#devices = devices;
  }

  /** The table that devices are looked up in from now on. */
  set devices(devices: DeviceTable) {
    this.#devices = devices;
  }

  /** Looks at the payload of a UDP frame. One with no device's tag allocates nothing. */
  verify(frame: Pick<FrameView, "bytes" | "payloadAt" | "payloadLength">, now: UnixMillis): Verdict {
    const { bytes, payloadAt: at, payloadLength: length } = frame;
    this.#devices.advance(now);
    if (length === PACKET_BYTES) {
      const hit = this.#devices.findTag(bytes, at);
      return hit ? this.#open(hit, bytes.subarray(at, at + PACKET_BYTES), undefined) : TAG;
    }
    if (length < STUN_MIN_BYTES || length > STUN_MAX_BYTES) return SIZE;
    const text = findStunPacket(bytes, at, length);
    if (text < 0 || !decodeTag(bytes, text, this.#tag)) return FORM;
    const hit = this.#devices.findTag(this.#tag, 0);
    if (hit === undefined) return TAG;
    const message = bytes.subarray(at, at + length);
    const stun = decodeStunRequest(message);
    if (stun === undefined) return FORM;
    const verdict = this.#open(hit, stun.packet, stun);
    const isWhole = verdict.kind === "drop" || isSigned(message, hit.schedule.ice(hit.step));
    return isWhole ? verdict : FORGED;
  }

  #open(hit: Hit, packet: Uint8Array, stun: StunRequest | undefined): Verdict {
    const plaintext = openPacket(hit.schedule.aead("seal", hit.step), packet);
    if (plaintext === undefined) return FORGED;
    const request = decodeRequest(plaintext);
    if (request === undefined) return MALFORMED;
    // A client takes its step and its sending time from one reading of its clock, and the step is in the window.
    if (stepAt(request.sentAt) !== hit.step) return CLOCK;
    return {
      kind: "authentic",
      form: stun ? "stun" : "spa",
      device: hit.device,
      slot: hit.slot,
      step: hit.step,
      schedule: hit.schedule,
      request,
      id: new Uint8Array(packet.subarray(0, TAG_BYTES + NONCE_BYTES)),
      transactionId: stun?.transactionId,
    };
  }
}
