import type { UnixMillis } from "../shared/brand.ts";
import { readAnswerWord } from "../shared/answer-word.ts";
import { base64 } from "../shared/bytes.ts";
import { NONCE_BYTES } from "../shared/constants.ts";
import type { StepKeys } from "../shared/key-schedule.ts";
import { randomBytes } from "./random.ts";
import { type Answer, decodeAnswer, type ReplyResult } from "../shared/reply.ts";
import { encodeRequest, type Request, type RequestType } from "../shared/request.ts";
import { openReply, packetNonce, sealPacket } from "../shared/seal.ts";
import { decodeStunSuccess, encodeStunRequest, TRANSACTION_BYTES } from "../shared/stun.ts";

/** The two shapes that a packet takes on the wire. */
export type Form = "spa" | "stun";
export const FORMS: readonly Form[] = ["spa", "stun"];

/** What the server said. The STUN form tells the result, the lifetime and the source address: the rest is undefined. */
export type Reply = Pick<Answer, "result" | "source"> & Partial<Answer>;

/** One packet, ready to send, and the only reader of its reply. */
export interface SpaPacket {
  readonly datagram: Uint8Array;
  /** The result that says that the request was done. */
  readonly wanted: ReplyResult;
  /** The reply in a datagram; undefined for anything that is not the authentic reply to this very packet. */
  read(datagram: Uint8Array): Reply | undefined;
}

export type Random = (length: number) => Uint8Array;

/** Makes a packet with a nonce of its own. */
export function makePacket(
  keys: StepKeys,
  request: Request,
  form: Form,
  random: Random = randomBytes,
): SpaPacket {
  const packet = sealPacket(keys, random(NONCE_BYTES), encodeRequest(request));
  const wanted = DONE[request.type];
  if (form === "spa")
    return { datagram: packet, wanted, read: (datagram) => readReply(keys, packet, datagram) };
  const transactionId = random(TRANSACTION_BYTES);
  const datagram = encodeStunRequest(packet, keys.ice, {
    transactionId,
    tieBreaker: random(8),
    localUfrag: base64(random(3)),
  });
  return {
    datagram,
    wanted,
    read(datagram) {
      const success = decodeStunSuccess(datagram, transactionId, keys.ice);
      const word = success && readAnswerWord(success.sourcePort);
      return word && { ...word, source: success.source };
    },
  };
}

function readReply(keys: StepKeys, packet: Uint8Array, datagram: Uint8Array): Answer | undefined {
  const answer = openReply(keys.ack, packetNonce(packet), datagram);
  return answer && decodeAnswer(answer);
}

const DONE: Readonly<Record<RequestType, ReplyResult>> = {
  open: "opened",
  close: "closed",
  rotate: "rotated",
  ping: "pong",
};

/** What a command asks for; the rest of the request is the same for all. */
export type Wish = Partial<Omit<Request, "type" | "sentAt" | "replyWanted">> & Pick<Request, "type">;

export function makeRequest(wish: Wish, sentAt: UnixMillis, replyWanted: boolean): Request {
  return {
    otp: undefined,
    allow: undefined,
    fromPort: undefined,
    lifetime: 0,
    connections: 0,
    service: undefined,
    body: undefined,
    ...wish,
    sentAt,
    replyWanted,
  };
}
