import { randomBytes } from "node:crypto";
import type { ServiceName, UnixMillis } from "../../shared/brand.ts";
import { decodeEnrolment, type Enrolment } from "../../shared/enrolment.ts";
import { KeySchedule } from "../../shared/key-schedule.ts";
import { knockSequence } from "../../shared/knock-sequence.ts";
import { encodeRequest, type Request } from "../../shared/request.ts";
import { unwrap } from "../../shared/result.ts";
import { type Answer, decodeAnswer } from "../../shared/reply.ts";
import { openReply, packetNonce, sealPacket } from "../../shared/seal.ts";
import { encodeStunRequest } from "../../shared/stun.ts";
import { stepAt } from "../../shared/time-step.ts";

/** A device whose packets a test makes itself, to send what no honest client would. From a `--static` enrolment link. */
export class Device {
  readonly enrolment: Enrolment;
  readonly #schedule: KeySchedule;

  /** `serverId`: another server's, to see its packets refused. */
  constructor(link: string, serverId?: Uint8Array) {
    this.enrolment = unwrap(decodeEnrolment(link));
    this.#schedule = new KeySchedule(this.enrolment.secret, serverId ?? this.enrolment.serverId);
  }

  /** The 144 bytes of a packet made at `at` (unix ms); `keysAt` takes the keys of another moment's step. */
  packet(fields: Partial<Request> = {}, at = Date.now(), keysAt = at): Buffer {
    const request: Request = {
      type: "open",
      replyWanted: false,
      sentAt: at as UnixMillis,
      otp: undefined,
      allow: undefined,
      fromPort: undefined,
      lifetime: 0,
      connections: 0,
      service: "ssh" as ServiceName,
      body: undefined,
      ...fields,
    };
    const keys = this.#schedule.keys(stepAt(keysAt as UnixMillis));
    return Buffer.from(sealPacket(keys, randomBytes(24), encodeRequest(request)));
  }

  /** What a reply (hex) says to a packet that was made at `at`; undefined for what is no reply to it. */
  answer(packet: Uint8Array, reply: string, at: number): Answer | undefined {
    const { ack } = this.#schedule.keys(stepAt(at as UnixMillis));
    const plain = openReply(ack, packetNonce(packet), Buffer.from(reply, "hex"));
    return plain && decodeAnswer(plain);
  }

  /** The same packet as a STUN Binding Request, as a browser would send it. */
  stun(packet: Uint8Array, at = Date.now()): Buffer {
    const { ice } = this.#schedule.keys(stepAt(at as UnixMillis));
    const random = { transactionId: randomBytes(12), tieBreaker: randomBytes(8), localUfrag: "abcd" };
    return Buffer.from(encodeStunRequest(packet, ice, random));
  }

  /** The knock sequence of the step of `at`. */
  sequence(at = Date.now()): number[] {
    const { knock } = this.enrolment;
    if (knock === undefined) throw new Error(`${this.enrolment.device} may not knock`);
    const step = stepAt(at as UnixMillis);
    return knockSequence(knock, (block) => this.#schedule.derive("knock", step, block));
  }
}
