import type { Manner, Outcome, Session } from "./session.ts";
import type { Target } from "./send-spa.ts";
import type { Wish } from "./spa-packet.ts";

/**
 * Sends a request under the secret that the server should know, and where a rotation stands open sees it through on the
 * way. Rotation is loaded only when it is needed: its curve arithmetic takes longer to load than to send a packet.
 */
export async function ask(
  session: Session,
  wish: Wish,
  targets: readonly Target[],
  manner: Manner,
): Promise<Outcome> {
  const { current, next, enrolling } = session.keys;
  if (next === undefined && !enrolling) {
    const outcome = await session.send(current, wish, targets, manner);
    if (outcome.best?.reply.result !== "rotate-first" || session.profile.info.isStatic) return outcome;
  }
  const { askThroughRotation } = await import("./rotation.ts");
  return askThroughRotation(session, wish, targets, manner);
}

/** Rotates after a request, where the server said that it is time or the secret is older than the profile allows. */
export async function rotateWhenDue(
  session: Session,
  outcome: Outcome,
  targets: readonly Target[],
  manner: Manner,
): Promise<Outcome | undefined> {
  const { info } = session.profile;
  const { keys } = session;
  if (outcome.best === undefined || info.isStatic || keys.next !== undefined) return undefined;
  const age = session.clock.now() - keys.since;
  const isDue =
    outcome.best.reply.rotationDue === true || (info.rotateAfter > 0 && age > info.rotateAfter * 1000);
  if (!isDue) return undefined;
  const { rotate } = await import("./rotation.ts");
  return rotate(session, targets, manner);
}
