import { encode, type Message, NLM_F_ACK } from "./netlink-message.ts";

/** struct nlmsghdr: 16 bytes, with the sequence number as its third 32-bit word. */
const HEADER = 16;
const SEQUENCE_WORD = 2;

/**
 * A datagram of netlink messages that is made once and sent many times, with other values in some of its places: nothing is
 * allocated for it on the way of a packet. Exactly one of its messages asks for an acknowledgement.
 */
export class Prepared {
  /** The datagram. Values in network order may be written into it at any time. */
  readonly bytes: Uint8Array;
  /** How many messages it has: each has a sequence number. */
  readonly count: number;
  /** Which of them asks for an acknowledgement, from 0. */
  readonly asks: number;
  readonly #words: Uint32Array;
  /** Where each message begins in `bytes`, and where it ends without its padding. */
  readonly #spans: readonly { readonly start: number; readonly end: number }[];

  /** Messages of which none or several ask for an acknowledgement throw RangeError. */
  constructor(messages: readonly Message[]) {
    const asking = messages.filter(({ flags }) => (flags & NLM_F_ACK) !== 0).length;
    if (asking !== 1) throw new RangeError(`netlink: expected one message that asks, got ${asking}`);
    this.bytes = encode(messages, 0);
    this.count = messages.length;
    this.asks = messages.findIndex(({ flags }) => (flags & NLM_F_ACK) !== 0);
    this.#words = new Uint32Array(this.bytes.buffer);
    let start = 0;
    this.#spans = messages.map(({ body }) => {
      const span = { start, end: start + HEADER + body.length };
      start = (span.end + 3) & ~3;
      return span;
    });
  }

  /** Where the message that asks ends in `bytes`. */
  get end(): number {
    return this.#spans[this.asks]?.end ?? 0;
  }

  /** Numbers the messages from `first`. */
  number(first: number): void {
    for (let index = 0; index < this.#spans.length; index++) {
      const start = this.#spans[index]?.start ?? 0;
      this.#words[start / 4 + SEQUENCE_WORD] = first + index;
    }
  }
}
