/** Whether two samples come from one distribution: Mann-Whitney's U with ties, by the normal approximation. */
export interface RankTest {
  /** How likely one of `b` is larger than one of `a`, with half of the ties: 0.5 = nothing tells them apart. */
  readonly effect: number;
  /** Two-sided. */
  readonly p: number;
}

export function rankTest(a: readonly number[], b: readonly number[]): RankTest {
  const all = [...a.map((value) => ({ value, isB: false })), ...b.map((value) => ({ value, isB: true }))];
  all.sort((one, other) => one.value - other.value);
  let rankSum = 0;
  let ties = 0;
  for (let at = 0; at < all.length; ) {
    let end = at;
    while (end < all.length && all[end]?.value === all[at]?.value) end++;
    const count = end - at;
    for (const { isB } of all.slice(at, end)) if (isB) rankSum += (at + 1 + end) / 2;
    ties += count ** 3 - count;
    at = end;
  }
  const n = all.length;
  const u = rankSum - (b.length * (b.length + 1)) / 2;
  const pairs = a.length * b.length;
  const deviation = Math.sqrt((pairs / 12) * (n + 1 - ties / (n * (n - 1))));
  return { effect: u / pairs, p: deviation === 0 ? 1 : 2 * upperTail(Math.abs(u - pairs / 2) / deviation) };
}

/** The normal distribution's upper tail (Abramowitz and Stegun 26.2.17; error below 7.5e-8). */
function upperTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z);
  const series =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
}

export function quantile(sample: readonly number[], part: number): number {
  const sorted = sample.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
