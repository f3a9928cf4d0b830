import type { ServiceName } from "../../shared/brand.ts";
import type { ServerInfo } from "../../shared/enrolment.ts";
import { formatPortRange } from "../../shared/port-range.ts";
import { millisLeft, stepAt } from "../../shared/time-step.ts";
import { check } from "./check.ts";
import type {
  CheckView,
  Engine,
  Given,
  Outcome,
  OwnEngine,
  Problem,
  Sequence,
  ServerView,
} from "./engine.ts";
import { knock, sequenceOf } from "./knock.ts";
import { alone } from "./lockstep.ts";
import { makeOwnEngine } from "./own-engine.ts";
import { problemOf } from "./problem.ts";
import { infoOf, isLocked, type Profile } from "./profile.ts";
import { ask, rotateAnd } from "./rotation.ts";
import { type Reply, Session } from "./session.ts";
import type { Store } from "./store.ts";
import { unlock } from "./unlock.ts";

/** The engine of a page that keeps the secrets itself and talks to servers by WebRTC. */
export class BrowserEngine implements Engine {
  readonly own: OwnEngine;
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
    this.own = makeOwnEngine(store, this);
  }

  async list(): Promise<readonly ServerView[]> {
    return (await this.#store.all()).flatMap(viewOf);
  }

  open(id: string, service: string, given: Given): Promise<Outcome> {
    return this.with(id, given, async (session) => {
      const started = Date.now();
      const wish = { type: "open", service: service as ServiceName, otp: given.otp } as const;
      const reply = await ask(session, wish);
      if (reply.kind === "sent") return { kind: "sent" };
      if (reply.kind !== "answered" || reply.result !== "opened") return failed(reply, session);
      const until = started + reply.lifetime * 1000;
      await session.change((profile) => ({ ...profile, open: { ...profile.open, [service]: until } }));
      void this.#rotateWhenDue(id, given);
      return { kind: "opened", until };
    });
  }

  close(id: string, service: string, given: Given): Promise<Outcome> {
    return this.with(id, given, async (session) => {
      const reply = await ask(session, { type: "close", service: service as ServiceName });
      if (reply.kind === "answered" && reply.result !== "closed") return failed(reply, session);
      if (reply.kind === "silent" || reply.kind === "untaken") return failed(reply, session);
      await session.change(({ open, ...profile }) => {
        const { [service]: _, ...others } = open;
        return { ...profile, open: others };
      });
      return { kind: reply.kind === "sent" ? "sent" : "closed" };
    });
  }

  async sequence(id: string, given: Given): Promise<Sequence | undefined> {
    const session = await this.#session(id, given);
    if (!(session instanceof Session)) return undefined;
    const now = session.now();
    const ports = await sequenceOf(session.keys.current, session.info, stepAt(now));
    return ports && { ports, left: millisLeft(now) };
  }

  async knock(id: string, given: Given): Promise<Outcome> {
    return this.with(id, given, async (session) => {
      const ports = await sequenceOf(session.keys.current, session.info, stepAt(session.now()));
      if (ports !== undefined && (await knock(ports, session.info))) return { kind: "knocked" };
      return { kind: "failed", problem: { code: "untaken", names: true, port: session.info.port } };
    });
  }

  async check(id: string, given: Given): Promise<CheckView | Problem> {
    const session = await this.#session(id, given);
    if (!(session instanceof Session)) return session;
    return alone(id, async () => {
      const result = await check(session);
      if ("kind" in result) return problemOf(result, session);
      return { ahead: result.ahead, seen: result.seen.map(({ text }) => text) };
    });
  }

  /** Unlocks a profile and works with it, while no other tab does. */
  with(id: string, given: Given, work: (session: Session) => Promise<Outcome>): Promise<Outcome> {
    return alone(id, async () => {
      const session = await this.#session(id, given);
      return session instanceof Session ? work(session) : { kind: "failed", problem: session };
    });
  }

  async #session(id: string, given: Given): Promise<Session | Problem> {
    const profile = await this.#store.get(id);
    const info = profile && infoOf(profile);
    if (profile === undefined || info === undefined) return { code: "damaged" };
    const keys = await unlock(profile, given.passphrase);
    return keys === undefined ? { code: "wrong-passphrase" } : new Session(this.#store, profile, info, keys);
  }

  /** The secret grew older than the server wants: make a new one, in passing. */
  async #rotateWhenDue(id: string, given: Given): Promise<void> {
    await this.with(id, given, async (session) => {
      const { info, profile } = session;
      const age = session.now() - profile.since;
      if (info.isStatic || info.rotateAfter === 0 || age < info.rotateAfter * 1000) return { kind: "done" };
      await rotateAnd(session, { type: "ping" });
      return { kind: "done" };
    });
  }
}

async function failed(reply: Reply, session: Session): Promise<Outcome> {
  return { kind: "failed", problem: await problemOf(reply, session) };
}

function viewOf(profile: Profile): ServerView[] {
  const info = infoOf(profile);
  return info === undefined ? [] : [serverView(profile, info)];
}

function serverView(profile: Profile, info: ServerInfo): ServerView {
  const { id, name, enrolling, login, clockAhead, open } = profile;
  return {
    id,
    name,
    device: info.device,
    addresses: info.addresses,
    port: info.port,
    services: info.services.map((service) => ({
      name: service.name,
      ports: service.ports.map(formatPortRange),
      openUntil: open[service.name],
    })),
    replies: info.replies,
    secondFactor: info.secondFactor,
    mayKnock: info.knock !== undefined,
    locked: isLocked(profile),
    enrolling: enrolling && !info.isStatic,
    isStatic: info.isStatic,
    login,
    clockAhead,
  };
}
