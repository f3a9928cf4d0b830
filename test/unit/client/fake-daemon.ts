import { randomBytes } from "node:crypto";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { parseAddress } from "../../../shared/address.ts";
import {
  type DeviceId,
  type Port,
  type ServiceName,
  type UnixMillis,
  timeStep,
} from "../../../shared/brand.ts";
import { NONCE_BYTES, PACKET_BYTES } from "../../../shared/constants.ts";
import { type Enrolment, encodeEnrolment } from "../../../shared/enrolment.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { answerWord } from "../../../shared/answer-word.ts";
import { type Answer, encodeAnswer, type ReplyResult } from "../../../shared/reply.ts";
import { decodeRequest, type Request } from "../../../shared/request.ts";
import { unwrap } from "../../../shared/result.ts";
import { nextSecret, publicKey } from "../../../shared/rotation.ts";
import { openPacket, packetNonce, sealReply } from "../../../shared/seal.ts";
import { Secret } from "../../../shared/secret.ts";
import { decodeStunRequest, encodeStunSuccess } from "../../../shared/stun.ts";
import { stepAt } from "../../../shared/time-step.ts";

/** What the fake saw: a request, and under which of the device's secrets. */
export interface Seen {
  readonly request: Request;
  readonly under: "current" | "next" | "retired";
  readonly from: RemoteInfo;
  readonly datagram: Buffer;
}

export interface Behaviour {
  /** Give the result of a request, or nothing for silence. Rotation is done by then. */
  answer?: (seen: Seen) => ReplyResult | undefined;
  /** Called with every datagram; true loses it on its way in. */
  loseRequest?: (datagram: Buffer) => boolean;
  /** True loses the reply on its way back. */
  loseReply?: (seen: Seen) => boolean;
  /** Milliseconds that its clock is ahead. */
  clockOffset?: number;
  rotationDue?: boolean;
  lifetime?: number;
  /** The port that it claims to have seen. */
  sourcePort?: number;
}

/**
 * A responder on loopback that knows one device: it opens packets, agrees on secrets, answers, and touches no
 * firewall. It keeps the rules of a rotation that the client relies on; whoever replays is not its concern.
 */
export class FakeDaemon implements AsyncDisposable {
  readonly serverId = new Uint8Array(randomBytes(16));
  readonly #serverKey = new Secret(randomBytes(32));
  readonly #sockets: Socket[] = [];
  readonly seen: Seen[] = [];
  readonly behaviour: Behaviour;
  readonly #replies = new Map<string, Buffer>();
  current: Secret;
  next: Secret | undefined;
  retired: Secret[] = [];
  enrolling: boolean;
  port = 0 as Port;
  /** Changes a reply on its way back. */
  mangleReply: (reply: Buffer) => Buffer = (reply) => reply;

  private constructor(behaviour: Behaviour, enrolling: boolean) {
    this.behaviour = behaviour;
    this.enrolling = enrolling;
    this.current = new Secret(randomBytes(32));
  }

  static async start(behaviour: Behaviour = {}, options: { v6?: boolean; enrolling?: boolean } = {}) {
    const daemon = new FakeDaemon(behaviour, options.enrolling ?? false);
    await daemon.#listen("udp4", "127.0.0.1");
    if (options.v6) await daemon.#listen("udp6", "::1");
    return daemon;
  }

  async #listen(type: "udp4" | "udp6", address: string): Promise<void> {
    const socket = createSocket(type);
    socket.on("message", (datagram, from) => this.#take(socket, datagram, from));
    await new Promise<void>((resolve) => socket.bind(this.port, address, resolve));
    this.port = socket.address().port as Port;
    this.#sockets.push(socket);
  }

  enrolment(changes: Partial<Enrolment> = {}): Enrolment {
    return {
      serverId: this.serverId,
      serverKey: publicKey(this.#serverKey),
      secret: this.current,
      device: "alice/laptop" as DeviceId,
      server: "fake",
      addresses: this.#sockets.length > 1 ? ["127.0.0.1", "::1"] : ["127.0.0.1"],
      port: this.port,
      knock: { first: 10000, last: 32767, length: 4, transport: "tcp" },
      services: [
        { name: "ssh" as ServiceName, ports: [{ protocol: "tcp", first: 22 as Port, last: 22 as Port }] },
        { name: "web" as ServiceName, ports: [{ protocol: "tcp", first: 443 as Port, last: 443 as Port }] },
      ],
      replies: true,
      isStatic: !this.enrolling,
      secondFactor: false,
      rotateAfter: 0,
      ...changes,
    };
  }

  link(changes: Partial<Enrolment> = {}): string {
    return encodeEnrolment(this.enrolment(changes));
  }

  #take(socket: Socket, datagram: Buffer, from: RemoteInfo): void {
    if (this.behaviour.loseRequest?.(datagram) === true) return;
    const stun = datagram.length === PACKET_BYTES ? undefined : decodeStunRequest(datagram);
    const packet = stun?.packet ?? datagram;
    const opened = this.#open(packet);
    if (opened === undefined) return;
    const { request, secret, under, step } = opened;
    const seen: Seen = { request, under, from, datagram };
    this.seen.push(seen);
    const key = packetNonce(packet).toString();
    const reply = this.#replies.get(key) ?? this.#answer(seen, secret, packet, step, stun?.transactionId);
    if (reply === undefined) return;
    this.#replies.set(key, reply);
    if (!request.replyWanted || this.behaviour.loseReply?.(seen) === true) return;
    socket.send(this.mangleReply(reply), from.port, from.address);
  }

  /** The plaintext of a packet of the device; undefined for any other. */
  open(packet: Uint8Array): Uint8Array | undefined {
    return this.#open(packet)?.plain;
  }

  #open(packet: Uint8Array) {
    const now = stepAt((Date.now() + (this.behaviour.clockOffset ?? 0)) as UnixMillis);
    const secrets = [
      ["current", this.current] as const,
      ...(this.next ? [["next", this.next] as const] : []),
      ...this.retired.map((secret) => ["retired", secret] as const),
    ];
    for (const [under, secret] of secrets) {
      for (const step of [now - 1, now, now + 1].map(timeStep)) {
        const keys = new KeySchedule(secret, this.serverId).keys(step);
        const plain = openPacket(keys.seal, packet);
        const request = plain && decodeRequest(plain);
        if (request !== undefined) return { plain, request, secret, under, step };
      }
    }
    return undefined;
  }

  #answer(seen: Seen, secret: Secret, packet: Uint8Array, step: number, transactionId?: Uint8Array) {
    const result = seen.under === "retired" ? "expired" : this.#decide(seen, secret);
    if (result === undefined) return undefined;
    const keys = new KeySchedule(secret, this.serverId).keys(timeStep(step));
    const source = unwrap(parseAddress(seen.from.address));
    const answer: Answer = {
      result,
      rotationDue: this.behaviour.rotationDue ?? false,
      lifetime: result === "opened" ? (this.behaviour.lifetime ?? (seen.request.lifetime || 30)) : 0,
      serverTime: (Date.now() + (this.behaviour.clockOffset ?? 0)) as UnixMillis,
      source,
      sourcePort: this.behaviour.sourcePort ?? seen.from.port,
    };
    if (transactionId !== undefined) {
      const word = answerWord(answer, seen.request.detail ?? 0);
      return Buffer.from(encodeStunSuccess(transactionId, source, word, keys.ice));
    }
    return Buffer.from(
      sealReply(keys.ack, randomBytes(NONCE_BYTES), packetNonce(packet), encodeAnswer(answer)),
    );
  }

  /** The rules of a rotation: `next` proves itself by its first use, and an enrolment secret can only rotate. */
  #decide(seen: Seen, secret: Secret): ReplyResult | undefined {
    const { request, under } = seen;
    if (under === "next") {
      this.retired.push(this.current);
      this.current = secret;
      this.next = undefined;
      this.enrolling = false;
    }
    const chosen = this.behaviour.answer?.(seen);
    if (this.behaviour.answer !== undefined) return chosen;
    if (request.type === "rotate") {
      const body = request.body ?? new Uint8Array(32);
      this.next = nextSecret(this.current, this.#serverKey, body, body, this.serverId);
      return "rotated";
    }
    if (this.enrolling) return "rotate-first";
    return request.type === "ping" ? "pong" : request.type === "open" ? "opened" : "closed";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    );
  }
}
