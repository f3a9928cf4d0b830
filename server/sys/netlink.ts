import { err, ok, type Result } from "../../shared/result.ts";
import * as libc from "./libc.ts";
import { decode, decodeError, encode, type Message, NLM_F_ACK, type Received } from "./netlink-message.ts";
import type { Prepared } from "./prepared.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const NETLINK_NETFILTER = 12;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_TRUNC = 0x20;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_DUMP_INTR = 0x10;
const EAGAIN = 11;
const EINTR = 4;
const ENOBUFS = 105;
/** No kernel dump chunk is larger (NETLINK_DUMP allocates at most 32 KiB). */
const BUFFER = 65536;
/** Our own number for "the kernel took the request and said nothing"; beyond every errno and ipset code. */
export const NO_ANSWER = 70_000;

/** The kernel's refusal: a positive errno (ipset's own codes begin at 4096), and its words when it gave any. */
export interface NetlinkError {
  readonly code: number;
  readonly words: string;
}

/**
 * A netfilter netlink socket. nfnetlink answers within send(2), so nothing here ever waits: when send returns, the
 * acknowledgement is in the socket's queue, and it is the kernel's word that the change is in effect.
 */
export class NetlinkSocket {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(Buffer.allocUnsafeSlow(BUFFER).buffer);
  readonly #halves = new Uint16Array(this.#buffer.buffer);
  readonly #words = new Int32Array(this.#buffer.buffer);
  #sequence = 1;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  static open(): Result<NetlinkSocket, NetlinkError> {
    const fd = openSocket();
    return fd < 0 ? err({ code: -fd, words: "" }) : ok(new NetlinkSocket(fd));
  }

  /**
   * Sends messages as one datagram (a batch stays together) and gives what came back besides acknowledgements.
   * Ok only when every message that asked for an acknowledgement got one and none was refused.
   */
  request(...messages: Message[]): Result<Received[], NetlinkError> {
    const first = this.#send(messages);
    if (typeof first !== "number") return err(first);
    const waiting = new Set(
      messages.flatMap((each, index) => ((each.flags & NLM_F_ACK) !== 0 ? [first + index] : [])),
    );
    const asked = waiting.size > 0;
    const data: Received[] = [];
    let refusal: NetlinkError | undefined;
    for (;;) {
      const received = this.#receive();
      if (!Array.isArray(received)) {
        if (received.code !== EAGAIN) return err(received);
        break;
      }
      for (const message of received) {
        if (message.sequence < first || message.sequence >= first + messages.length) continue;
        if (message.type !== NLMSG_ERROR) {
          data.push(message);
          continue;
        }
        const { code, words } = decodeError(message);
        waiting.delete(message.sequence);
        if (code !== 0) refusal ??= { code: -code, words };
      }
      // An answer ends with the last acknowledgement that was asked for.
      if (asked && waiting.size === 0) break;
    }
    if (refusal !== undefined) return err(refusal);
    return waiting.size === 0 ? ok(data) : err({ code: NO_ANSWER, words: "" });
  }

  /** Sends what was prepared. Undefined = the kernel has acknowledged it, so that it is in effect. */
  confirm(prepared: Prepared): NetlinkError | undefined {
    const first = this.#number(prepared.count);
    prepared.number(first);
    const sent = this.#sendBytes(prepared.bytes);
    if (sent < 0) return { code: -sent, words: "" };
    const asked = first + prepared.asks;
    for (;;) {
      const length = libc.recv(this.#fd, this.#buffer, MSG_TRUNC);
      if (length < 0) return { code: length === -EAGAIN ? NO_ANSWER : -length, words: "" };
      if (this.#isAcknowledged(length, asked)) return undefined;
      for (const message of decode(this.#buffer.subarray(0, Math.min(length, BUFFER)))) {
        const isOurs = message.sequence >= first && message.sequence < first + prepared.count;
        if (!isOurs || message.type !== NLMSG_ERROR) continue;
        const { code, words } = decodeError(message);
        if (code !== 0) return { code: -code, words };
        if (message.sequence === asked) return undefined;
      }
    }
  }

  /** Whether the datagram in the buffer begins with the acknowledgement of this message: struct nlmsghdr, then an errno of 0. */
  #isAcknowledged(length: number, sequence: number): boolean {
    const words = this.#words;
    return length >= 20 && this.#halves[2] === NLMSG_ERROR && words[2] === sequence && words[4] === 0;
  }

  /** Asks for a dump (the message has NLM_F_DUMP) and gives all its parts. One that changed meanwhile is asked for again. */
  dump(message: Message): Result<Received[], NetlinkError> {
    for (let attempt = 0; ; attempt++) {
      const parts = this.#dumpOnce(message);
      if (!parts.ok) return parts;
      const torn = parts.value.some((part) => (part.flags & NLM_F_DUMP_INTR) !== 0);
      if (!torn || attempt >= 5) return parts;
    }
  }

  close(): void {
    libc.close(this.#fd);
  }

  #dumpOnce(message: Message): Result<Received[], NetlinkError> {
    const first = this.#send([message]);
    if (typeof first !== "number") return err(first);
    const parts: Received[] = [];
    for (;;) {
      const received = this.#receive();
      if (!Array.isArray(received))
        return err(received.code === EAGAIN ? { code: NO_ANSWER, words: "" } : received);
      for (const part of received) {
        if (part.sequence !== first) continue;
        if (part.type === NLMSG_ERROR) {
          const { code, words } = decodeError(part);
          if (code !== 0) return err({ code: -code, words });
        } else if (part.type === NLMSG_DONE) {
          return ok(parts);
        } else {
          parts.push(part);
        }
      }
    }
  }

  #send(messages: readonly Message[]): number | NetlinkError {
    const first = this.#number(messages.length);
    const result = this.#sendBytes(encode(messages, first));
    return result < 0 ? { code: -result, words: "" } : first;
  }

  /** Sequence numbers for so many messages; gives the first. */
  #number(count: number): number {
    const first = this.#sequence;
    this.#sequence = (first + count) % 0x7fff0000 || 1;
    return first;
  }

  #sendBytes(bytes: Uint8Array): number {
    const sent = libc.send(this.#fd, bytes);
    return sent === -EINTR ? libc.send(this.#fd, bytes) : sent;
  }

  #receive(): Received[] | NetlinkError {
    const length = libc.recv(this.#fd, this.#buffer, MSG_TRUNC);
    if (length < 0) return { code: -length, words: "" };
    if (length > BUFFER) return { code: ENOBUFS, words: `a message of ${length} bytes` };
    return decode(this.#buffer.subarray(0, length));
  }
}

/** Hears a multicast group: `heard` gets message types (subsystem << 8 | command), or none when some were lost. */
export function listen(
  group: number,
  heard: (types: readonly number[] | undefined) => void,
): Result<() => void, NetlinkError> {
  const fd = openSocket();
  if (fd < 0) return err({ code: -fd, words: "" });
  const joined = libc.setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
  if (joined < 0) {
    libc.close(fd);
    return err({ code: -joined, words: "" });
  }
  const buffer = new Uint8Array(Buffer.allocUnsafeSlow(BUFFER).buffer);
  const poll = libc.pollReadable(fd, () => {
    for (;;) {
      const length = libc.recv(fd, buffer);
      if (length === -EAGAIN) return;
      if (length === -EINTR) continue;
      heard(length < 0 ? undefined : decode(buffer.subarray(0, length)).map((message) => message.type));
      if (length < 0 && length !== -ENOBUFS) return;
    }
  });
  poll.unref();
  return ok(() => {
    poll.close();
    libc.close(fd);
  });
}

function openSocket(): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) return fd;
  libc.setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  libc.setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  const address = new Uint8Array(12);
  new Uint16Array(address.buffer)[0] = AF_NETLINK;
  const bound = libc.bind(fd, address);
  if (bound < 0) libc.close(fd);
  return bound < 0 ? bound : fd;
}
