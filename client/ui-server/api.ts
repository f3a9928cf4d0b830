import { quote } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { formatPortRange } from "../../shared/port-range.ts";
import { ask, rotateWhenDue } from "../ask.ts";
import { mannerOf } from "../options.ts";
import type { Profile } from "../profile.ts";
import { askWithCode } from "../otp.ts";
import { ProfileStore } from "../profile-store.ts";
import { clockError, isDone, seenFrom } from "../report.ts";
import { sequenceAt } from "../sequence.ts";
import { passphraseKey, parseLock, sealedVault } from "../sealed-vault.ts";
import { type Outcome, Session } from "../session.ts";
import type { Wish } from "../spa-packet.ts";
import { serviceNamed } from "../values.ts";
import { problemOf } from "./problem.ts";

/** What the page of `tock ui` may ask for: each call takes checked values and gives JSON. Secrets stay in here. */

export interface Call {
  readonly id: string;
  readonly service: string;
  readonly otp: number | undefined;
  readonly passphrase: string | undefined;
}

/** Services that this program opened, and until when (unix ms). */
const open = new Map<string, number>();

export const API: Readonly<Record<string, (call: Call) => Promise<unknown>>> = {
  list: () => Promise.resolve(list()),
  open: openService,
  close: closeService,
  sequence,
  check,
};

function list(): object[] {
  const store = new ProfileStore();
  return store.names().map((name) => view(store.load(name)));
}

function view({ name, info, keys }: Profile): object {
  return {
    id: name,
    name,
    device: info.device,
    addresses: info.addresses,
    port: info.port,
    services: info.services.map((service) => ({
      name: service.name,
      ports: service.ports.map(formatPortRange),
      openUntil: open.get(`${name} ${service.name}`),
    })),
    replies: info.replies,
    secondFactor: info.secondFactor,
    mayKnock: info.knock !== undefined,
    locked: keys.kind === "sealed" && parseLock(keys.lock)?.kind === "passphrase",
    enrolling: keys.kind === "plain" && keys.keys.enrolling,
    isStatic: info.isStatic,
    login: "",
    clockAhead: 0,
  };
}

async function openService(call: Call): Promise<object> {
  const session = await unlocked(call);
  const { name: service } = serviceNamed(session.profile.info, call.service);
  const start = Date.now();
  const outcome = await send(session, { type: "open", service, otp: call.otp });
  const seconds = outcome.best?.reply.lifetime;
  if (!isDone(outcome) || seconds === undefined) return failed(session, outcome);
  const until = start + seconds * 1000;
  open.set(`${call.id} ${service}`, until);
  return { kind: "opened", until, seen: seenFrom(outcome) };
}

async function closeService(call: Call): Promise<object> {
  const session = await unlocked(call);
  const { name: service } = serviceNamed(session.profile.info, call.service);
  const outcome = await send(session, { type: "close", service });
  if (!isDone(outcome)) return failed(session, outcome);
  open.delete(`${call.id} ${service}`);
  return { kind: "closed" };
}

async function sequence(call: Call): Promise<object> {
  const session = await unlocked(call);
  const { ports, millisLeft } = sequenceAt(session, session.clock.now());
  return { ports, left: millisLeft };
}

async function check(call: Call): Promise<object> {
  const session = await unlocked(call);
  const outcome = await send(session, { type: "ping" });
  if (!isDone(outcome)) return problemOf(session, outcome);
  return { ahead: clockError(outcome) ?? 0, seen: [seenFrom(outcome)] };
}

async function send(session: Session, wish: Wish): Promise<Outcome> {
  const manner = mannerOf(session, {});
  const targets = await session.targets(undefined);
  // Never from the terminal: the page has asked for the code already.
  const askFor = wish.otp === undefined ? ask : askWithCode;
  const outcome = await askFor(session, wish, targets, manner);
  await rotateWhenDue(session, outcome, targets, manner);
  return outcome;
}

function failed(session: Session, outcome: Outcome): object {
  const isMute = !session.profile.info.replies && outcome.deliveries.some(({ state }) => state === "silent");
  return isMute ? { kind: "sent" } : { kind: "failed", problem: problemOf(session, outcome) };
}

/** The profile with its secrets at hand. There is no terminal to ask on: the passphrase comes from the page. */
async function unlocked({ id, passphrase }: Call): Promise<Session> {
  const store = new ProfileStore();
  const profile = store.load(id);
  const { keys, name, info } = profile;
  const lock = keys.kind === "sealed" ? parseLock(keys.lock) : undefined;
  if (lock?.kind !== "passphrase") return Session.open(id);
  if (passphrase === undefined) throw new TockError("usage", `profile ${quote(id)} asks for a passphrase`);
  return Session.of(store, profile, sealedVault(name, info, lock, passphraseKey(passphrase, lock)));
}
