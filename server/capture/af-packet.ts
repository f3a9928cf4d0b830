import { ok, type Result } from "../../shared/result.ts";
import { type CapturePlan, Frame, parseFrame } from "../core/frame.ts";
import type { CaptureStats, FrameHandler, PacketSource, TagFilter } from "../core/packet-source.ts";
import { AdaptivePoll, type Drained } from "./adaptive-poll.ts";
import { KernelFilter } from "./kernel-filter.ts";
import { Ring } from "./ring.ts";

/** linux/if_ether.h */
const ETHER_TYPES = [0x0800, 0x86dd] as const;
/** 2 ms at a million packets per second; 2 MiB for each address family. */
const SLOTS = 2048;
/** Milliseconds of reading after which everybody else gets a turn, and packets between two looks at the clock. */
const TURN = 2;
const BATCH = 16;

export interface CaptureOptions {
  /** False leaves the tags to the consumer, as on machines without CAP_BPF. Default true. */
  readonly useTags?: boolean;
  /** Packets that may wait to be read, for each address family. */
  readonly slots?: number;
}

/**
 * Packets of this host from every interface, before its firewall drops them. Nothing listens, no port is open.
 * Only what is sent to this host at the link layer counts: broadcasts and what a promiscuous interface overhears do not.
 */
export class AfPacketSource implements PacketSource {
  readonly #plan: CapturePlan;
  readonly #handle: FrameHandler;
  readonly #rings: readonly Ring[];
  readonly #filter: KernelFilter;
  readonly #polls: readonly AdaptivePoll[];
  readonly #readers: readonly (() => Drained)[];
  #refused = 0;
  #delivered = 0;

  private constructor(
    plan: CapturePlan,
    handle: FrameHandler,
    sockets: readonly Socket[],
    filter: KernelFilter,
  ) {
    this.#plan = plan;
    this.#handle = handle;
    this.#filter = filter;
    this.#rings = sockets.map(({ ring }) => ring);
    this.#readers = sockets.map(({ frame, ring }) =>
      reader(ring, (at: number, length: number): void => this.#receive(frame, at, length)),
    );
    this.#polls = sockets.map(
      ({ ring }, index) => new AdaptivePoll(ring.fd, this.#readers[index] ?? (() => "nothing")),
    );
  }

  /** Needs CAP_NET_RAW, and CAP_BPF for the filter that knows tags. */
  static open(plan: CapturePlan, handle: FrameHandler, options: CaptureOptions = {}): Result<AfPacketSource> {
    const { useTags = true, slots = SLOTS } = options;
    const sockets: Socket[] = [];
    const opened = openSockets(sockets, plan, useTags, slots);
    if (opened.ok) return ok(new AfPacketSource(plan, handle, sockets, opened.value));
    for (const { ring } of sockets) ring.close();
    return opened;
  }

  get filter(): "ebpf" | "cbpf" {
    return this.#filter.kind;
  }

  get tags(): TagFilter {
    return this.#filter;
  }

  stats(): CaptureStats {
    let received = 0;
    let lost = 0;
    for (const ring of this.#rings) {
      const counted = ring.stats();
      received += counted.received;
      lost += counted.lost;
    }
    return { received, lost, refused: this.#refused, delivered: this.#delivered };
  }

  drain(): void {
    for (const read of this.#readers) while (read() !== "nothing");
  }

  close(): void {
    for (const poll of this.#polls) poll.close();
    for (const ring of this.#rings) ring.close();
    this.#filter.close();
  }

  #receive(frame: Frame, at: number, length: number): void {
    if (parseFrame(frame, at, length, this.#plan) !== undefined) {
      this.#refused++;
      return;
    }
    this.#delivered++;
    this.#handle(frame);
  }
}

/** What reads a ring until it is empty or its time is up. */
function reader(ring: Ring, receive: (at: number, length: number) => void): () => Drained {
  return () => {
    const until = performance.now() + TURN;
    let total = 0;
    for (;;) {
      const count = ring.drain(receive, BATCH);
      total += count;
      if (count < BATCH) break;
      if (performance.now() > until) return "some";
    }
    if (total > 0) return "all";
    ring.clearError();
    return "nothing";
  };
}

interface Socket {
  readonly ring: Ring;
  readonly frame: Frame;
}

/** Fills `sockets`, also where it fails later, so that the caller can close them. */
function openSockets(
  sockets: Socket[],
  plan: CapturePlan,
  useTags: boolean,
  slots: number,
): Result<KernelFilter> {
  for (const _ of ETHER_TYPES) {
    const frame = new Frame();
    const ring = Ring.open(frame, slots);
    if (!ring.ok) return ring;
    sockets.push({ ring: ring.value, frame });
  }
  const filter = KernelFilter.install(
    plan,
    sockets.map(({ ring }) => ring.fd),
    useTags,
  );
  if (!filter.ok) return filter;
  for (const [index, etherType] of ETHER_TYPES.entries()) {
    const bound = sockets[index]?.ring.bind(etherType);
    if (bound?.ok === false) return bound;
  }
  return filter;
}
