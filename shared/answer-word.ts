import { Address } from "./address.ts";
import { type Answer, RESULTS, type ReplyResult } from "./reply.ts";

/**
 * The one number that the STUN form answers with. A web page sees none of a reply's bytes, but it can read the port of
 * its own address as the server saw it (RTCIceCandidateStats.port). So that port, under MESSAGE-INTEGRITY, is not the
 * port that the request came from, but the answer:
 *
 * - opened: the lifetime in seconds, 1 to 65279
 * - a pong, where the ping asked for a detail: 1 + the 15 bits that it asked for
 * - anything else: 0xff00 + the result's number
 *
 * It is never 0, which browsers do not take for a port.
 */
export interface AnswerWord {
  readonly result: ReplyResult;
  /** Seconds that the grant lasts; 0 unless opened. */
  readonly lifetime: number;
}

/** Details 1 to 9: the 128 bits of the source address, 15 at a time, the lowest first. */
const ADDRESS_DETAILS = 9;
/** Detail 10, the last one: the daemon's unix time in seconds, modulo 2^15. */
export const CLOCK_DETAIL = 10;

const OTHER = 0xff00;
const PIECE_BITS = 15n;
const PIECE_MASK = (1n << PIECE_BITS) - 1n;

/** The word, 1 to 65535, that answers a request. `detail` is what a ping asked for; 0 = its result. */
export function answerWord(answer: Answer, detail: number): number {
  if (answer.result === "opened") return Math.min(Math.max(answer.lifetime, 1), OTHER - 1);
  if (answer.result !== "pong" || detail === 0) return OTHER + RESULTS.indexOf(answer.result);
  if (detail === CLOCK_DETAIL) return 1 + (Math.floor(answer.serverTime / 1000) % 2 ** 15);
  return 1 + Number((toNumber(answer.source) >> (PIECE_BITS * BigInt(detail - 1))) & PIECE_MASK);
}

/** The inverse, for a request that asked for no detail; undefined for a result that this version does not know. */
export function readAnswerWord(word: number): AnswerWord | undefined {
  if (word < OTHER) return { result: "opened", lifetime: word };
  const result = RESULTS[word - OTHER];
  return result && { result, lifetime: 0 };
}

/** The details that tell a source address of a family. Of IPv4 the lowest 32 bits are enough. */
export function addressDetails(family: 4 | 6): number[] {
  return Array.from({ length: family === 4 ? 3 : ADDRESS_DETAILS }, (_, index) => index + 1);
}

/** The address from the words that answered {@link addressDetails}, in that order. */
export function readAddress(words: readonly number[], family: 4 | 6): Address {
  let number = 0n;
  for (const [index, word] of words.entries()) number |= BigInt(word - 1) << (PIECE_BITS * BigInt(index));
  const bytes = new Uint8Array(family === 4 ? 4 : 16);
  for (let at = bytes.length - 1; at >= 0; at--, number >>= 8n) bytes[at] = Number(number & 0xffn);
  return family === 4 ? Address.v4(bytes) : new Address(bytes);
}

/** Seconds by which the daemon's clock is ahead of `now` (unix ms), from the word of its clock: right within ±4.5 hours. */
export function secondsAhead(word: number, now: number): number {
  const ahead = (((word - 1 - Math.floor(now / 1000)) % 2 ** 15) + 2 ** 15) % 2 ** 15;
  return ahead < 2 ** 14 ? ahead : ahead - 2 ** 15;
}

function toNumber({ bytes }: Address): bigint {
  return bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}
