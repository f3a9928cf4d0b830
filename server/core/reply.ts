import { answerWord } from "../../shared/answer-word.ts";
import type { TimeStep } from "../../shared/brand.ts";
import type { KeySchedule } from "../../shared/key-schedule.ts";
import { type Answer, encodeAnswer } from "../../shared/reply.ts";
import { sealReply } from "../../shared/seal.ts";
import { encodeStunSuccess } from "../../shared/stun.ts";

/** What of an authentic packet its reply is made from. */
export interface Asked {
  /** The 24 bytes of the packet's nonce. */
  readonly nonce: Uint8Array;
  /** The STUN form's transaction id, 12 bytes; undefined = the packet came as itself. */
  readonly transactionId: Uint8Array | undefined;
  /** What a ping in the STUN form asked to be told; 0 = the result. */
  readonly detail: number;
  /** What the reply's key is derived from. */
  readonly schedule: KeySchedule;
  readonly step: TimeStep;
}

/**
 * The one datagram that answers a packet, never longer than the packet; `nonce` is 24 random bytes.
 */
export function makeReply(asked: Asked, answer: Answer, nonce: Uint8Array): Uint8Array {
  const { schedule, step } = asked;
  if (asked.transactionId === undefined)
    return sealReply(schedule.aead("ack", step), nonce, asked.nonce, encodeAnswer(answer));
  const word = answerWord(answer, asked.detail);
  return encodeStunSuccess(asked.transactionId, answer.source, word, schedule.ice(step));
}
