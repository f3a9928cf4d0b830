import type { KnockShape } from "../../shared/knock-sequence.ts";

/** Ports of one source that are looked at together, see knock-tracker.ts. */
const RECENT = 8;
/** Above this guessing is worth a try: at 100,000 packets a second, a hit every 30 years. */
export const MOST_ODDS = 1e-14;

/**
 * The chance that a packet of somebody who guesses completes some device's sequence (docs/PROTOCOL.md, "Knock
 * sequence"): one of the ways in which its ports can lie in the last 8 knocks, in any step of the window, of any device.
 */
export function knockOdds({ first, last, length }: KnockShape, steps: number, devices: number): number {
  return (ways(length) * steps * devices) / (last - first + 1) ** length;
}

/** The shortest length of sequences by which guessing is hopeless; undefined = the range of ports is too small for any. */
export function safeLength(shape: KnockShape, steps: number, devices: number): number | undefined {
  return [3, 4, 5, 6, 7, 8].find((length) => knockOdds({ ...shape, length }, steps, devices) <= MOST_ODDS);
}

/** C(7, length - 1): the last knock completes the sequence, the others lie among the 7 before it. */
function ways(length: number): number {
  let ways = 1;
  for (let k = 1; k < length; k++) ways = (ways * (RECENT - k)) / k;
  return ways;
}
