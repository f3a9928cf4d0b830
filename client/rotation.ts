import { SECRET_BYTES } from "../shared/constants.ts";
import { TockError } from "../shared/errors.ts";
import { nextSecret, publicKey } from "../shared/rotation.ts";
import { Secret } from "../shared/secret.ts";
import type { Keys, NextKey } from "./profile.ts";
import { randomBytes } from "./random.ts";
import type { Target } from "./send-spa.ts";
import type { Manner, Outcome, Session } from "./session.ts";
import type { Wish } from "./spa-packet.ts";

/**
 * The client's half of a rotation from S to S'. Its file holds S alone, then S and S', then S' alone; it sends S'
 * something to work with only when S' is on disk, and lets go of S only when a reply under S' has come. So whatever
 * is lost and whoever dies, one secret that both sides hold is left:
 *
 *     begin     S' made and stored beside S
 *     asked     rotate(S)         → rotated      the server holds both: `acknowledged`
 *     proved    anything under S' → any reply    S' is current on both sides, S is forgotten
 */

/** Patience for a secret that the server may not know yet, before the one that it knew is tried. */
const TRIAL_MS = 2_000;

/** A request, seen through a rotation that stands open or must come first. */
export async function askThroughRotation(
  session: Session,
  wish: Wish,
  targets: readonly Target[],
  manner: Manner,
): Promise<Outcome> {
  const isNew = await begin(session);
  const { next } = session.keys;
  // Another process has ended this very rotation.
  if (next === undefined) return session.send(session.keys.current, wish, targets, manner);
  if (!session.profile.info.replies) return askUnheard(session, next, isNew, wish, targets, manner);
  if (manner.replies) return settle(session, next, isNew, wish, targets, manner);
  await settle(session, next, isNew, { type: "ping" }, targets, {
    ...manner,
    replies: true,
  });
  const { current } = session.keys;
  return session.send(
    session.keys.next?.acknowledged === true ? next.secret : current,
    wish,
    targets,
    manner,
  );
}

/** Rotates now, or ends the rotation that stands open. The outcome is that of the last request sent. */
export async function rotate(session: Session, targets: readonly Target[], manner: Manner): Promise<Outcome> {
  const isNew = await begin(session);
  const { next } = session.keys;
  const quiet = { ...manner, localPort: undefined };
  if (next === undefined) return session.send(session.keys.current, { type: "ping" }, targets, quiet);
  if (!session.profile.info.replies) return askUnheard(session, next, true, { type: "ping" }, targets, quiet);
  return settle(session, next, isNew, { type: "ping" }, targets, { ...quiet, replies: true });
}

/** Makes S' and stores it, unless there is one. True when this call made it, so that the server cannot know it. */
async function begin(session: Session): Promise<boolean> {
  if (session.keys.next !== undefined) return false;
  const { info } = session.profile;
  const { current } = session.keys;
  const ephemeral = new Secret(randomBytes(SECRET_BYTES));
  const ephemeralPublic = publicKey(ephemeral);
  const secret = nextSecret(current, ephemeral, info.serverKey, ephemeralPublic, info.serverId);
  ephemeral.wipe();
  if (secret === undefined) {
    const hint = "the link may have been tampered with; ask for a new one";
    throw new TockError(
      "invalid",
      `profile ${session.profile.name}: the server's key is no key to agree with`,
      hint,
    );
  }
  let isNew = false;
  await session.changeKeys((keys) => {
    if (keys.next !== undefined || !keys.current.equals(current)) return keys;
    isNew = true;
    const next = { secret, ephemeral: ephemeralPublic, since: session.clock.now(), acknowledged: false };
    return { ...keys, next };
  });
  return isNew;
}

async function settle(
  session: Session,
  next: NextKey,
  isNew: boolean,
  wish: Wish,
  targets: readonly Target[],
  manner: Manner,
): Promise<Outcome> {
  const { current, enrolling } = session.keys;
  if (!isNew) {
    const timeout = next.acknowledged ? manner.timing.timeout : Math.min(TRIAL_MS, manner.timing.timeout);
    const timing = { ...manner.timing, timeout };
    const outcome = await prove(session, next, wish, targets, { ...manner, timing });
    if (outcome.best !== undefined) return outcome;
  }
  const asking: Wish = { type: "rotate", body: next.ephemeral };
  const asked = await session.send(current, asking, targets, { ...manner });
  if (asked.best === undefined) return asked;
  const { result } = asked.best.reply;
  if (result === "expired" && !isNew) {
    // S is retired, so an earlier use of S' arrived, and only its replies did not.
    const again = await prove(session, next, wish, targets, manner);
    return again.best === undefined ? asked : again;
  }
  if (result !== "rotated") {
    if (enrolling) return asked;
    // A retired S would be called expired, so S is what the server holds, and S' it does not want.
    await session.changeKeys((keys) => (isNext(keys, next) ? { ...keys, next: undefined } : keys));
    return session.send(current, wish, targets, manner);
  }
  await session.changeKeys((keys) =>
    isNext(keys, next) ? { ...keys, next: { ...next, acknowledged: true } } : keys,
  );
  return prove(session, next, wish, targets, manner);
}

/** Whether the file still holds this rotation: another process may have ended it. */
function isNext(keys: Keys, next: NextKey): boolean {
  return keys.next?.secret.equals(next.secret) === true;
}

/** Sends a request under S'. Any authentic reply proves that the server knows S', and S is forgotten. */
async function prove(
  session: Session,
  next: NextKey,
  wish: Wish,
  targets: readonly Target[],
  manner: Manner,
): Promise<Outcome> {
  const outcome = await session.send(next.secret, wish, targets, manner);
  if (outcome.best === undefined) return outcome;
  await session.changeKeys((keys) =>
    isNext(keys, next)
      ? { current: next.secret, since: next.since, enrolling: false, next: undefined }
      : keys,
  );
  return outcome;
}

/**
 * A server that never answers can confirm nothing. The request to rotate goes out several times, then S' is used; S
 * stays in the file, so that `tock rotate` can ask once more.
 */
async function askUnheard(
  session: Session,
  next: NextKey,
  sendRotate: boolean,
  wish: Wish,
  targets: readonly Target[],
  manner: Manner,
): Promise<Outcome> {
  const mute = { ...manner, replies: false };
  if (sendRotate) {
    for (let time = 0; time < UNHEARD_TIMES; time++) {
      await session.send(session.keys.current, { type: "rotate", body: next.ephemeral }, targets, mute);
      await new Promise((resolve) => setTimeout(resolve, UNHEARD_GAP_MS));
    }
  }
  return session.send(next.secret, wish, targets, mute);
}

const UNHEARD_TIMES = 3;
const UNHEARD_GAP_MS = 150;
