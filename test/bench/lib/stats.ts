/** What a list of samples comes to. Percentiles are samples themselves (nearest rank). */
export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Of no samples every figure is NaN, which JSON writes as null. */
export function summarise(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    rounded(sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN);
  return { count: sorted.length, min: at(0), p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

export function median(samples: readonly number[]): number {
  return summarise(samples).p50;
}

/** Four digits that count. */
export function rounded(value: number): number {
  return Number(value.toPrecision(4));
}
