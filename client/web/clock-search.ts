import { CLOCK_DETAIL, secondsAhead } from "../../shared/answer-word.ts";
import { unixMillis } from "../../shared/brand.ts";
import { STEP_MILLIS } from "../../shared/constants.ts";
import type { Session } from "./session.ts";

/** Steps to look at on each side: a little more than five minutes. */
const REACH = 11;
const BATCH_MS = 1_200;

/**
 * A server that stays silent may only live in another time: it answers nothing from outside of its window. So ask as if
 * it were other times, and see whether one of them is answered. Gives the seconds by which the server's clock is ahead
 * of ours; undefined = all of them met silence.
 */
export async function searchClock(session: Session): Promise<number | undefined> {
  const odd = Array.from({ length: Math.ceil(REACH / 2) }, (_, index) => 2 * index + 1);
  const even = odd.map((step) => step + 1).filter((step) => step <= REACH);
  // A window of three steps is hit by every second one; the others are for windows of one.
  for (const steps of [even, odd]) {
    const found = await tryAll(session, [...steps, ...steps.map((step) => -step)]);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function tryAll(session: Session, steps: readonly number[]): Promise<number | undefined> {
  const replies = await Promise.all(steps.map((step) => tryStep(session, step)));
  const exact = replies.find((reply) => reply?.seconds !== undefined);
  if (exact?.seconds !== undefined) return exact.seconds;
  const answered = replies.filter((reply) => reply !== undefined);
  // An answer without the time, as to a link that must rotate first, tells the step alone.
  if (answered.length === 0) return undefined;
  return (answered.reduce((sum, { step }) => sum + step, 0) / answered.length) * (STEP_MILLIS / 1000);
}

async function tryStep(session: Session, step: number) {
  const now = unixMillis(Math.max(0, Date.now() + step * STEP_MILLIS));
  const key =
    session.keys.next !== undefined && session.profile.next?.acknowledged
      ? session.keys.next
      : session.keys.current;
  const wish = { type: "ping", detail: CLOCK_DETAIL } as const;
  const reply = await session.sendTo(session.info.addresses, key, wish, now, BATCH_MS, true);
  if (reply.kind !== "answered") return undefined;
  const seconds = reply.result === "pong" ? secondsAhead(reply.word, Date.now()) : undefined;
  return { step, seconds };
}
