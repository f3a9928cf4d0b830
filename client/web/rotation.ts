import { SECRET_BYTES } from "../../shared/constants.ts";
import { nextSecretFromRoot, publicKey } from "../../shared/rotation.ts";
import { Secret } from "../../shared/secret.ts";
import { rotationRootOf } from "./device-key.ts";
import { random } from "./random.ts";
import { PATIENCE, type Reply, type Session, type Wish } from "./session.ts";

/**
 * The page's half of a rotation from S to S'. It keeps S alone, then S and S', then S' alone. It uses S' only when it is
 * on disk, and lets go of S only when an answer under S' has come, so whatever is lost, one secret that both sides hold
 * is left. The bytes of S' exist for a moment; S is never more than a key that can derive.
 */

/** Patience for a secret that the server may not know yet, before the one that it knew is tried. */
const TRIAL_MS = 2_000;
const UNHEARD_TIMES = 3;

/** Sends a request under the secret that the server should know, and sees a rotation through on the way. */
export async function ask(session: Session, wish: Wish): Promise<Reply> {
  const { profile, keys, info } = session;
  if (profile.next === undefined && !profile.enrolling) {
    const reply = await session.send(keys.current, wish);
    if (reply.kind !== "answered" || reply.result !== "rotate-first" || info.isStatic) return reply;
  }
  return rotateAnd(session, wish);
}

/** Rotates, or ends the rotation that stands open, and sends the request under the new secret. */
export async function rotateAnd(session: Session, wish: Wish): Promise<Reply> {
  const isNew = session.profile.next === undefined;
  if (isNew && !(await begin(session)))
    return { kind: "answered", result: "refused", lifetime: 0, word: 0, host: "" };
  if (!session.info.replies) return unheard(session, isNew, wish);
  if (!isNew) {
    const acknowledged = session.profile.next?.acknowledged === true;
    const reply = await prove(session, wish, acknowledged ? PATIENCE : TRIAL_MS);
    if (reply.kind === "answered") return reply;
  }
  const asked = await session.send(session.keys.current, rotateWish(session));
  if (asked.kind !== "answered") return asked;
  if (asked.result !== "rotated") {
    return session.profile.enrolling ? asked : session.send(session.keys.current, wish);
  }
  await session.change((profile) =>
    profile.next === undefined ? profile : { ...profile, next: { ...profile.next, acknowledged: true } },
  );
  return prove(session, wish, PATIENCE);
}

/** Makes S' and stores it beside S. False where the server's key is none to agree with. */
async function begin(session: Session): Promise<boolean> {
  const { info, keys } = session;
  const ephemeral = new Secret(random(SECRET_BYTES));
  const ephemeralPublic = publicKey(ephemeral);
  const root = await rotationRootOf(keys.current, info.serverId);
  const secret = nextSecretFromRoot(root, ephemeral, info.serverKey, ephemeralPublic, info.serverId);
  ephemeral.wipe();
  root.wipe();
  if (secret === undefined) return false;
  const { kept, key } = await keys.keep(secret.expose());
  secret.wipe();
  const next = { secret: kept, ephemeral: ephemeralPublic, since: session.now(), acknowledged: false };
  await session.change((profile) => ({ ...profile, next }));
  session.keys = { ...keys, next: key };
  return true;
}

/** Sends a request under S'. An answer of any kind proves that the server knows S', and S is forgotten. */
async function prove(session: Session, wish: Wish, timeout: number): Promise<Reply> {
  const { next } = session.keys;
  if (next === undefined) return { kind: "silent" };
  const reply = await session.send(next, wish, timeout);
  if (reply.kind === "answered") await promote(session, next);
  return reply;
}

async function promote(session: Session, key: CryptoKey): Promise<void> {
  await session.change(({ next, ...profile }) =>
    next === undefined ? profile : { ...profile, current: next.secret, since: next.since, enrolling: false },
  );
  session.keys = { ...session.keys, current: key, next: undefined };
}

/** A server that never answers confirms nothing: the request to rotate goes out several times, then S' is used. */
async function unheard(session: Session, isNew: boolean, wish: Wish): Promise<Reply> {
  const times = isNew ? UNHEARD_TIMES : 0;
  for (let time = 0; time < times; time++) {
    const reply = await session.send(session.keys.current, rotateWish(session));
    if (reply.kind === "untaken") return reply;
  }
  return session.send(session.keys.next ?? session.keys.current, wish);
}

function rotateWish(session: Session): Wish {
  return { type: "rotate", body: session.profile.next?.ephemeral };
}
