import { Address } from "./address.ts";
import type { UnixMillis } from "./brand.ts";
import { ANSWER_BYTES } from "./constants.ts";

/** What came of a request, in the order of the byte that says it. */
export const RESULTS = [
  "opened",
  "refused",
  "second-factor",
  "expired",
  "rotate-first",
  "firewall-error",
  "closed",
  "rotated",
  "pong",
] as const;
export type ReplyResult = (typeof RESULTS)[number];

/** Whether a result says that what was asked for was done. */
export function isSuccess(result: ReplyResult): boolean {
  return result === "opened" || result === "closed" || result === "rotated" || result === "pong";
}

/** The plaintext of a reply. */
export interface Answer {
  readonly result: ReplyResult;
  /** The device should rotate its secret soon. */
  readonly rotationDue: boolean;
  /** Seconds that the grant lasts, 0 to 65535; 0 unless opened. */
  readonly lifetime: number;
  /** The daemon's clock. */
  readonly serverTime: UnixMillis;
  /** Where the daemon saw the packet come from. */
  readonly source: Address;
  readonly sourcePort: number;
}

const VERSION = 1;

/** 48 bytes: version, result, flags (u16), lifetime (u16), time (u48), address (16), port (u16), 18 zeros. Big-endian. */
export function encodeAnswer(answer: Answer): Uint8Array {
  const bytes = new Uint8Array(ANSWER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, RESULTS.indexOf(answer.result));
  view.setUint16(2, answer.rotationDue ? 1 : 0);
  view.setUint16(4, answer.lifetime);
  view.setUint16(6, Math.floor(answer.serverTime / 2 ** 32));
  view.setUint32(8, answer.serverTime % 2 ** 32);
  bytes.set(answer.source.bytes, 12);
  view.setUint16(28, answer.sourcePort);
  return bytes;
}

/** The strict inverse of {@link encodeAnswer}; undefined for anything else. */
export function decodeAnswer(bytes: Uint8Array): Answer | undefined {
  if (bytes.length !== ANSWER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const result = RESULTS[view.getUint8(1)];
  const flags = view.getUint16(2);
  if (view.getUint8(0) !== VERSION || result === undefined || flags > 1) return undefined;
  if (!bytes.subarray(30).every((byte) => byte === 0)) return undefined;
  return {
    result,
    rotationDue: flags === 1,
    lifetime: view.getUint16(4),
    serverTime: (view.getUint16(6) * 2 ** 32 + view.getUint32(8)) as UnixMillis,
    source: new Address(bytes.subarray(12, 28)),
    sourcePort: view.getUint16(28),
  };
}
