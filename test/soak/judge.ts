/** What was measured now and then: each but `genuine` in its own unit, at a time in minutes. */
export interface Sample {
  readonly minutes: number;
  /** Genuine packets so far. */
  readonly genuine: number;
  readonly megabytes: number;
  readonly descriptors: number;
  /** Packets that the ring lost so far. */
  readonly lost: number;
  /** What the daemon wrote to its output so far, in bytes. */
  readonly output: number;
  /** The audit trail, in bytes. */
  readonly trail: number;
  /** The store's write-ahead log, in bytes. */
  readonly wal: number;
  /** All else in the state folder, in bytes. */
  readonly state: number;
}

/** The trail keeps 16 files of 4 MiB. */
const MOST_TRAIL = 16 * 4 * 1024 * 1024;
/** SQLite begins anew at 1,000 pages of 4 KiB, and may be kept from it for a moment. */
const MOST_WAL = 8 * 1024 * 1024;

/**
 * What is not flat. The first third is left out: tables fill and the engine takes its memory. Growth over the rest is the
 * median of all slopes between two samples (Theil and Sen), which one garbage collection does not bend, times the time.
 */
export function judge(all: readonly Sample[]): string[] {
  const samples = all.slice(Math.floor(all.length / 3));
  const [first] = samples;
  const last = samples.at(-1);
  if (samples.length < 4 || first === undefined || last === undefined) return ["too short to judge"];
  const growth = (value: (sample: Sample) => number): number =>
    medianSlope(samples, value) * (last.minutes - first.minutes);
  const problems: string[] = [];
  const memory = growth(({ megabytes }) => megabytes);
  if (memory > 4 + 0.05 * first.megabytes) problems.push(`memory grows: ${memory.toFixed(1)} MB`);
  const descriptors = growth((sample) => sample.descriptors);
  if (descriptors >= 1) problems.push(`descriptors grow: ${descriptors.toFixed(1)}`);
  if (last.lost > 0) problems.push(`the ring lost ${last.lost} packets`);
  const state = growth((sample) => sample.state);
  if (state > 0.25 * first.state + 65_536) problems.push(`the state folder grows: ${state.toFixed(0)} bytes`);
  // The trail and the output tell of every genuine packet, once: what grows is what is told of each.
  const before = all[0];
  if (before === undefined) return problems;
  for (const kind of ["output", "trail"] as const) {
    const early = perPacket(before, first, kind);
    const late = perPacket(first, last, kind);
    if (late > 1.25 * early + 100)
      problems.push(`${kind}: ${late.toFixed(0)} bytes a packet, first ${early.toFixed(0)}`);
  }
  if (last.trail > MOST_TRAIL) problems.push(`the audit trail has ${last.trail} bytes`);
  if (last.wal > MOST_WAL) problems.push(`the store's write-ahead log has ${last.wal} bytes`);
  return problems;
}

/** Bytes for each genuine packet between two samples. A trail that let go of its oldest file may have less. */
export function perPacket(from: Sample, to: Sample, kind: "output" | "trail"): number {
  return (to[kind] - from[kind]) / Math.max(1, to.genuine - from.genuine);
}

function medianSlope(samples: readonly Sample[], value: (sample: Sample) => number): number {
  const slopes = samples.flatMap((later, index) =>
    samples
      .slice(0, index)
      .map((earlier) => (value(later) - value(earlier)) / (later.minutes - earlier.minutes)),
  );
  slopes.sort((a, b) => a - b);
  return slopes[slopes.length >> 1] ?? 0;
}
