import { type UnixMillis, unixMillis } from "../shared/brand.ts";

/** The clocks and the randomness that the client works with. Tests put their own in. */
export interface Clock {
  /** The time of day, which packets carry. */
  now(): UnixMillis;
  /** Milliseconds on a clock that never jumps, for measuring. */
  tick(): number;
}

/** TOCK_TEST_CLOCK_OFFSET_MS puts the client's clock wrong by so many milliseconds. For tests of clock errors, and nothing else. */
const offset = Number(process.env["TOCK_TEST_CLOCK_OFFSET_MS"] ?? 0);

export const systemClock: Clock = {
  now: () => unixMillis(Math.floor(Date.now() + (Number.isFinite(offset) ? offset : 0))),
  // performance.now() would load Node's performance hooks, which takes longer than a reply from nearby.
  tick: () => Number(process.hrtime.bigint()) / 1e6,
};
