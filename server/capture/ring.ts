import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Frame } from "../core/frame.ts";
import { bind, close, errnoName, getsockopt, type Mapping, mmap, setsockopt, socket } from "../sys/libc.ts";

/** packet(7), linux/if_packet.h */
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SOL_PACKET = 263;
const PACKET_RX_RING = 5;
const PACKET_STATISTICS = 6;
const PACKET_VERSION = 10;
const TPACKET_V2 = 1;
const TP_STATUS_KERNEL = 0;
const TP_STATUS_USER = 1;

/** struct tpacket2_hdr in words and half words, with the struct sockaddr_ll after it. */
const STATUS = 0;
const CAPTURED_LENGTH = 2;
const NETWORK_OFFSET = 7;
const SECONDS = 4;
const NANOSECONDS = 5;
const INTERFACE = 9;

/** Holds the kernel's header (80 bytes) and any packet that is kept: 60 bytes of IPv4 header, 8 of UDP, 600 of STUN. */
const SLOT_BYTES = 1024;
/** A multiple of every page size. */
const BLOCK_BYTES = 65536;
const SLOTS_PER_BLOCK = BLOCK_BYTES / SLOT_BYTES;

/**
 * A packet socket of one EtherType with a TPACKET_V2 ring (Documentation/networking/packet_mmap.rst): the kernel
 * writes packets, from the IP header on, into memory that is shared with the process, and reading costs no call.
 *
 * A socket of one EtherType, other than one of ETH_P_ALL, sees what comes in and nothing that goes out, and sees it once:
 * where the IP stack itself would get it, after VLAN tags, bridges and bonds are dealt with. It is before every
 * netfilter hook that the firewall uses; a drop in XDP, tc or a netdev ingress chain comes earlier.
 */
export class Ring {
  readonly fd: number;
  readonly #slots: number;
  readonly #mapping: Mapping;
  readonly #frame: Frame;
  readonly #words: Uint32Array;
  readonly #halves: Uint16Array;
  #next = 0;
  #received = 0;
  #lost = 0;
  #closed = false;

  private constructor(fd: number, slots: number, mapping: Mapping, frame: Frame) {
    this.fd = fd;
    this.#slots = slots;
    this.#mapping = mapping;
    this.#frame = frame;
    this.#words = new Uint32Array(mapping.memory);
    this.#halves = new Uint16Array(mapping.memory);
    frame.attach(new Uint8Array(mapping.memory));
  }

  /** An unbound socket: it receives nothing before `bind`. Needs CAP_NET_RAW. `slots` is rounded up to 64. */
  static open(frame: Frame, slots: number): Result<Ring> {
    // Protocol 0: nothing may arrive before the filter and the ring are there.
    const fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return err(captureError("cannot open a packet socket", fd));
    const blocks = Math.ceil(slots / SLOTS_PER_BLOCK);
    const request = Uint32Array.of(BLOCK_BYTES, blocks, SLOT_BYTES, blocks * SLOTS_PER_BLOCK);
    const result =
      setsockopt(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V2) ||
      setsockopt(fd, SOL_PACKET, PACKET_RX_RING, new Uint8Array(request.buffer));
    const mapping = result < 0 ? result : mmap(fd, blocks * BLOCK_BYTES);
    if (typeof mapping !== "number") return ok(new Ring(fd, blocks * SLOTS_PER_BLOCK, mapping, frame));
    close(fd);
    return err(captureError("cannot make the packet ring", mapping));
  }

  /** Starts receiving an EtherType on every interface, those that come later too. */
  bind(etherType: number): Result<void> {
    const address = new Uint8Array(20); // struct sockaddr_ll; interface 0 is any
    new Uint16Array(address.buffer, 0, 1)[0] = AF_PACKET;
    new DataView(address.buffer).setUint16(2, etherType);
    const result = bind(this.fd, address);
    return result < 0 ? err(captureError("cannot bind the packet socket", result)) : ok(undefined);
  }

  /**
   * Calls `receive` for each packet that is there, at most so many, with its offset in the frame's memory and its length.
   * Arrival time and interface are in the frame already. Gives how many there were.
   */
  drain(receive: (at: number, length: number) => void, most: number): number {
    let count = 0;
    while (count < most && !this.#closed) {
      const slot = this.#next * SLOT_BYTES;
      const word = slot / 4;
      if ((Atomics.load(this.#words, word + STATUS) & TP_STATUS_USER) === 0) break;
      try {
        const words = this.#words;
        this.#frame.arrivedAt = at(words, word + SECONDS) * 1000 + at(words, word + NANOSECONDS) / 1e6;
        this.#frame.interfaceIndex = at(words, word + INTERFACE);
        receive(slot + at(this.#halves, slot / 2 + NETWORK_OFFSET), at(words, word + CAPTURED_LENGTH));
      } finally {
        Atomics.store(this.#words, word + STATUS, TP_STATUS_KERNEL);
        this.#next = (this.#next + 1) % this.#slots;
        count++;
      }
    }
    return count;
  }

  /** Fetches an error that is pending on the socket, which would wake the event loop again and again. */
  clearError(): void {
    getsockopt(this.fd, SOL_SOCKET, SO_ERROR, new Uint8Array(4));
  }

  /** Packets that passed the filter since the start, and how many of them found the ring full. */
  stats(): { received: number; lost: number } {
    const counters = new Uint32Array(2); // struct tpacket_stats; reading it sets it to zero
    if (
      !this.#closed &&
      getsockopt(this.fd, SOL_PACKET, PACKET_STATISTICS, new Uint8Array(counters.buffer)) > 0
    ) {
      this.#received += at(counters, 0);
      this.#lost += at(counters, 1);
    }
    return { received: this.#received, lost: this.#lost };
  }

  close(): void {
    if (this.#closed) return;
    this.stats();
    this.#closed = true;
    close(this.fd);
    // Whoever calls from within `receive` may still be looking at the packet.
    setImmediate(() => {
      this.#frame.attach(new Uint8Array(0));
      this.#mapping.unmap();
    });
  }
}

function at(words: Uint32Array | Uint16Array, index: number): number {
  return words[index] ?? 0;
}

/** `code` is -errno. */
export function captureError(what: string, code: number): TockError {
  const name = errnoName(code);
  const denied = name === "EPERM" || name === "EACCES";
  const hint = denied ? "run as root, or give the process CAP_NET_RAW" : undefined;
  return new TockError(denied ? "permission" : "io", `capture: ${what}: ${name}`, hint);
}
