import type { Frame } from "./frame.ts";

/**
 * A frame as the consumer sees it. It is one object, used again for the next frame: copy what is to be kept, before
 * returning. Offsets count from the start of `bytes`, which holds more than this frame.
 */
export type FrameView = Readonly<Omit<Frame, "attach">>;

/** What happens to every frame that can be ours. It must not keep the view. */
export type FrameHandler = (frame: FrameView) => void;

/** Counters since the source was opened. */
export interface CaptureStats {
  /** Frames that the kernel's filter let through, lost ones included. */
  readonly received: number;
  /** Frames that found the ring full. */
  readonly lost: number;
  /** Frames that the parser refused: cut short, lengths that contradict each other, and so on. */
  readonly refused: number;
  /** Frames given to the handler. */
  readonly delivered: number;
}

/** Counters of several sources, one after the other. */
export function addStats(...all: readonly (CaptureStats | undefined)[]): CaptureStats {
  const sum = (name: keyof CaptureStats): number =>
    all.reduce((total, stats) => total + (stats?.[name] ?? 0), 0);
  return {
    received: sum("received"),
    lost: sum("lost"),
    refused: sum("refused"),
    delivered: sum("delivered"),
  };
}

/**
 * The identity tags of the skew window, for a filter in the kernel that drops packets with any other tag.
 * Tags come packed, 8 bytes each; another length throws RangeError. A source whose filter knows no tags ignores
 * them, so the consumer must look the tag up all the same. It takes about 1 µs a tag: add a large batch in slices.
 * There is room for twice what was last replaced; beyond that all of them move to a larger set at once.
 */
export interface TagFilter {
  /** Exactly these from now on; nothing is missed while it changes. */
  replace(tags: Uint8Array): void;
  /** These too. Tags that are in already change nothing. */
  add(tags: Uint8Array): void;
  /** Without these. Unknown ones change nothing. */
  remove(tags: Uint8Array): void;
}

/** Where frames come from. */
export interface PacketSource {
  /** What keeps junk away: a filter that knows the tags, one that knows sizes and ports, or none. It can get weaker. */
  readonly filter: "ebpf" | "cbpf" | "none";
  readonly tags: TagFilter;
  stats(): CaptureStats;
  /** Delivers what has arrived already, before this returns. */
  drain(): void;
  /** No frame is delivered after this. Again does no harm. */
  close(): void;
}
