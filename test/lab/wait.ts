import { setTimeout as sleep } from "node:timers/promises";

export { sleep };

/**
 * Asks again until the answer is true, for at most `within` ms (generous: a busy machine is slow, not wrong).
 * Gives the ms it took; throws with `what` when the time is up.
 */
export async function eventually(
  what: string,
  check: () => boolean | Promise<boolean>,
  { within = 15_000, every = 50 }: { within?: number; every?: number } = {},
): Promise<number> {
  const start = performance.now();
  for (;;) {
    if (await check()) return performance.now() - start;
    if (performance.now() - start > within) throw new Error(`not within ${within} ms: ${what}`);
    await sleep(every);
  }
}

/** Asks for `during` ms and throws with `what` as soon as the answer is true. It asks at least twice: first and last. */
export async function never(
  what: string,
  check: () => boolean | Promise<boolean>,
  { during = 1_000, every = 100 }: { during?: number; every?: number } = {},
): Promise<void> {
  const end = performance.now() + during;
  while (performance.now() < end) {
    if (await check()) throw new Error(`should not have happened: ${what}`);
    await sleep(every);
  }
  if (await check()) throw new Error(`should not have happened: ${what}`);
}
