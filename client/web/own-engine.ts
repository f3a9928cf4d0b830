import { hex } from "../../shared/bytes.ts";
import { decodeEnrolment, type Enrolment, type ServerInfo } from "../../shared/enrolment.ts";
import { timeStep } from "../../shared/brand.ts";
import { decodeBackup, encodeBackup } from "./backup.ts";
import type { BrowserEngine } from "./browser-engine.ts";
import { derive } from "./device-key.ts";
import type { LinkView, Outcome, OwnEngine, Problem } from "./engine.ts";
import type { Box } from "./passphrase.ts";
import { problemOf } from "./problem.ts";
import { infoOf, newProfile, type Profile } from "./profile.ts";
import { rotateAnd } from "./rotation.ts";
import { Session } from "./session.ts";
import type { Store } from "./store.ts";
import { keeper, unlock } from "./unlock.ts";

/** Enrolling and everything else that changes the profiles of this browser. */
export function makeOwnEngine(store: Store, engine: BrowserEngine): OwnEngine {
  const update = async (id: string, change: (profile: Profile) => Profile): Promise<void> => {
    await store.update(id, change);
  };
  return {
    readLink: (link) => Promise.resolve(readLink(link)),
    enrol: (link, passphrase) => enrol(store, link, passphrase),
    knock: (id, given) => engine.knock(id, given),
    rename: (id, name) =>
      update(id, (profile) => ({ ...profile, name: name.trim().slice(0, 63) || profile.name })),
    setLogin: (id, login) => update(id, (profile) => ({ ...profile, login: login.trim() })),
    setClock: (id, ahead) => update(id, (profile) => ({ ...profile, clockAhead: ahead * 1000 })),
    setPassphrase: (id, given, passphrase) =>
      engine.with(id, given, async (session) => {
        session.keys = { ...session.keys, keep: keeper(passphrase) };
        return renew(session);
      }),
    backUp: async (id, given, passphrase) => {
      let text: string | undefined;
      const outcome = await engine.with(id, given, async (session) => {
        const result = await backUp(session, passphrase);
        if (typeof result !== "string") return result;
        text = result;
        return { kind: "done" };
      });
      return text ?? (outcome.kind === "failed" ? outcome.problem : { code: "damaged" });
    },
    restore: (text, passphrase) => restore(store, text, passphrase),
    remove: (id) => store.remove(id),
  };
}

function readLink(link: string): LinkView | string {
  const enrolment = decodeEnrolment(link);
  if (!enrolment.ok) return enrolment.error.message;
  const { server, device, addresses, services } = enrolment.value;
  return { server, device, addresses, services: services.map(({ name }) => name) };
}

/** Stores what the link holds, and has the server agree on another secret, which nobody has seen. */
async function enrol(store: Store, link: string, passphrase: string | undefined): Promise<Outcome> {
  const enrolment = decodeEnrolment(link);
  if (!enrolment.ok) return { kind: "failed", problem: { code: "other", message: enrolment.error.message } };
  const { secret, ...info } = enrolment.value;
  const keep = keeper(passphrase);
  const { kept, key } = await keep(secret.expose());
  secret.wipe();
  const others = (await store.all()).filter((profile) => isSameDevice(profile, info));
  const profile =
    (await findSame(others, key, info)) ?? newProfile(info, kept, !enrolment.value.isStatic, Date.now());
  await store.put(profile);
  if (info.isStatic) return replace(store, profile, others);
  const keys = await unlock(profile, passphrase);
  if (keys === undefined) return { kind: "failed", problem: { code: "wrong-passphrase" } };
  const session = new Session(store, profile, info, { ...keys, keep });
  const reply = await rotateAnd(session, { type: "ping" });
  if (reply.kind === "sent") return replace(store, session.profile, others, "sent");
  if (reply.kind === "answered" && reply.result === "pong") return replace(store, session.profile, others);
  const problem = await problemOf(reply, session);
  // The server says no, or this browser cannot reach it: a profile that can do nothing is not kept.
  const isUseless = reply.kind === "untaken" || (reply.kind === "answered" && session.profile.enrolling);
  if (isUseless) await store.remove(profile.id);
  return { kind: "failed", problem };
}

function isSameDevice(profile: Profile, info: Omit<Enrolment, "secret">): boolean {
  const other = infoOf(profile);
  return other !== undefined && hex(other.serverId) === hex(info.serverId) && other.device === info.device;
}

/** An enrolment with this very link that was cut short. */
async function findSame(
  profiles: readonly Profile[],
  key: CryptoKey,
  info: ServerInfo,
): Promise<Profile | undefined> {
  const mark = async (each: CryptoKey): Promise<string> =>
    hex(await derive(each, info.serverId, "tag", timeStep(0)));
  for (const profile of profiles) {
    if (!profile.enrolling || profile.current.kind !== "key") continue;
    if ((await mark(profile.current.key)) === (await mark(key))) return profile;
  }
  return undefined;
}

/** A device has one secret: what this browser knew of it before is of no use any more. */
async function replace(
  store: Store,
  profile: Profile,
  others: readonly Profile[],
  kind: "done" | "sent" = "done",
): Promise<Outcome> {
  const old = others.filter(({ id }) => id !== profile.id);
  const [first] = old;
  if (first !== undefined) {
    await store.update(profile.id, (current) => ({ ...current, name: first.name, login: first.login }));
  }
  for (const { id } of old) await store.remove(id);
  return { kind };
}

/** Rotates, so that the secret can be put into another form: the one before cannot be read. */
async function renew(session: Session): Promise<Outcome> {
  if (session.profile.next !== undefined) await rotateAnd(session, { type: "ping" });
  const reply = await rotateAnd(session, { type: "ping" });
  if (reply.kind === "sent") return { kind: "sent" };
  if (reply.kind === "answered" && reply.result === "pong") return { kind: "done" };
  return { kind: "failed", problem: await problemOf(reply, session) };
}

/** A copy under a passphrase. A secret that cannot be read is replaced by one that is copied as it is made. */
async function backUp(
  session: Session,
  passphrase: string,
): Promise<string | Extract<Outcome, { kind: "failed" }>> {
  const { current } = session.profile;
  if (current.kind === "box" && (await isUnder(current.box, session, passphrase))) {
    return encodeBackup(session.profile, current.box, Date.now());
  }
  const problem: Problem = {
    code: "other",
    message: "this device's secret never changes, so it cannot be copied out",
  };
  if (session.info.isStatic) return { kind: "failed", problem };
  let box: Box | undefined;
  const { keys } = session;
  const seal = keeper(passphrase);
  session.keys = {
    ...keys,
    async keep(secret) {
      const { kept } = await seal(secret);
      box = kept.kind === "box" ? kept.box : undefined;
      return keys.keep(secret);
    },
  };
  const outcome = await renew(session);
  if (outcome.kind === "failed") return outcome;
  return box === undefined
    ? { kind: "failed", problem: { code: "damaged" } }
    : encodeBackup(session.profile, box, Date.now());
}

async function isUnder(box: Box, session: Session, passphrase: string): Promise<boolean> {
  const keys = await unlock(
    { ...session.profile, current: { kind: "box", box }, next: undefined },
    passphrase,
  );
  return keys !== undefined;
}

async function restore(store: Store, text: string, passphrase: string): Promise<Outcome> {
  const profile = decodeBackup(text, Date.now());
  if (profile === undefined) {
    return {
      kind: "failed",
      problem: { code: "other", message: "this file is no backup of tock, or it is damaged" },
    };
  }
  if ((await unlock(profile, passphrase)) === undefined) {
    return { kind: "failed", problem: { code: "wrong-passphrase" } };
  }
  await store.put(profile);
  return { kind: "done" };
}
