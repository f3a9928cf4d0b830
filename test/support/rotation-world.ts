import { randomBytes } from "node:crypto";
import { DatabaseSync, StatementSync } from "node:sqlite";
import { ask } from "../../client/ask.ts";
import type { Keys } from "../../client/profile.ts";
import { rotate } from "../../client/rotation.ts";
import type { Delivery, Target } from "../../client/send-spa.ts";
import type { Manner, Outcome, Session } from "../../client/session.ts";
import { makePacket, makeRequest, type Wish } from "../../client/spa-packet.ts";
import { Counters, DROP_REASONS } from "../../server/core/counters.ts";
import { DeviceTable } from "../../server/core/device-table.ts";
import type { AuditEvent } from "../../server/core/event.ts";
import { Frame } from "../../server/core/frame.ts";
import type { FrameView } from "../../server/core/packet-source.ts";
import { ReplayWindow } from "../../server/core/replay-window.ts";
import { SpentSteps } from "../../server/core/spent-steps.ts";
import { Verifier } from "../../server/core/verify.ts";
import { DryRunFirewall } from "../../server/firewall/dry-run.ts";
import { Gate, type GateParts, type Told } from "../../server/gate.ts";
import { OpenGrants } from "../../server/open-grants.ts";
import { DeviceStore } from "../../server/store/device-store.ts";
import { StoredSecrets } from "../../server/stored-secrets.ts";
import { concat } from "../../shared/bytes.ts";
import { KeySchedule } from "../../shared/key-schedule.ts";
import type { ReplyResult } from "../../shared/reply.ts";
import { unwrap } from "../../shared/result.ts";
import { publicKey } from "../../shared/rotation.ts";
import type { Secret } from "../../shared/secret.ts";
import { stepAt } from "../../shared/time-step.ts";
import { address, deviceId, makeService, makeUser, NOW, SEED, serviceName } from "./core.ts";
import { newDevice, newSecret, newStore } from "./devices.ts";

/**
 * A client and a daemon in one process, of the real parts: the client's rotation, the daemon's gate, verifier, policy
 * and device store on disk. Each step that touches a disk or the network is a point at which one of them can be killed,
 * or a packet lost. The one that was killed starts again with what is on its disk.
 */

class Crash extends Error {
  readonly who: "client" | "daemon";

  constructor(who: "client" | "daemon") {
    super(`${who} killed`);
    this.who = who;
  }
}

/** Called before and after every statement that the daemon gives to SQLite. */
let onSql: (() => void) | undefined;

function watchSql<T extends object>(owner: T, name: keyof T & string): void {
  const original = owner[name] as (...args: never[]) => unknown;
  owner[name] = function (this: unknown, ...args: never[]) {
    onSql?.();
    const result = original.apply(this, args);
    onSql?.();
    return result;
  } as T[typeof name];
}
watchSql(DatabaseSync.prototype, "exec");
for (const name of ["run", "get", "all", "iterate"] as const) watchSql(StatementSync.prototype, name);

export const PHONE = deviceId("alice/phone");
const SOURCE = address("192.0.2.7");
const TARGETS: readonly Target[] = ["192.0.2.1", "2001:db8::1"].map((text) => ({
  address: address(text),
  port: 62201,
}));
const MANNER: Manner = {
  form: "spa",
  timing: { schedule: [0], timeout: 1, grace: 0, graceAfterNo: 0 },
  replies: true,
};
const OPEN: Wish = { type: "open", service: serviceName("ssh") };

export class World {
  /** The number of the step at which something goes wrong; 0 = nothing does. */
  failAt = 0;
  steps = 0;
  readonly events: AuditEvent[] = [];
  /** Every secret that ever was, the link's first. */
  readonly secrets: Secret[] = [];
  readonly #folder: string;
  readonly #serverId: Uint8Array;
  readonly #serverKey: Uint8Array;
  #store: DeviceStore;
  #gate: Gate | undefined;
  #reply: Uint8Array | undefined;
  /** The client's disk. */
  #disk: Keys;

  /** A device that holds a link, and a daemon that made it. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#store = newStore(folder);
    this.#serverId = this.#store.identity.id;
    this.#serverKey = publicKey(this.#store.identity.key);
    const link = newSecret();
    unwrap(
      this.#store.add(newDevice(PHONE, { current: { secret: link, since: NOW }, enrolling: true }), NOW),
    );
    this.#disk = this.#fromLink(link);
    this.#start();
  }

  close(): void {
    onSql = undefined;
    this.#store.close();
  }

  get device() {
    return unwrap(this.#quietly(() => this.#store.get(PHONE)));
  }

  get keys(): Keys {
    return this.#disk;
  }

  /** The owner makes a new link for the device, which the client takes. */
  relink(): void {
    const link = newSecret();
    const next = { secret: link, since: NOW };
    unwrap(
      this.#quietly(() => this.#store.update(PHONE, (device) => ({ ...device, next, nextFromLink: true }))),
    );
    this.#disk = this.#fromLink(link);
    this.#restart();
  }

  /** Runs the client to its end, or to its death. True = it came to its end. */
  async run(what: "open" | "rotate" | "ping"): Promise<ReplyResult | "killed" | undefined> {
    const session = this.#session();
    try {
      const outcome =
        what === "rotate"
          ? await rotate(session, TARGETS, MANNER)
          : await ask(session, what === "open" ? OPEN : { type: "ping" }, TARGETS, MANNER);
      return outcome.best?.reply.result;
    } catch (error) {
      if (error instanceof Crash && error.who === "client") return "killed";
      throw error;
    }
  }

  /** What the daemon says to one who opens with this secret; undefined = nothing. */
  opensWith(secret: Secret): ReplyResult | undefined {
    return this.#quietly(() => this.#send(secret, OPEN)?.result);
  }

  /** Does something with nothing going wrong, uncounted. */
  #quietly<T>(body: () => T): T {
    const { failAt, steps } = this;
    this.failAt = 0;
    try {
      return body();
    } finally {
      this.failAt = failAt;
      this.steps = steps;
    }
  }

  #fromLink(link: Secret): Keys {
    this.secrets.push(link);
    return { current: link, since: NOW, enrolling: true, next: undefined };
  }

  #step(who: "client" | "daemon"): void {
    if (++this.steps === this.failAt) throw new Crash(who);
  }

  #isLost(): boolean {
    return ++this.steps === this.failAt;
  }

  #session(): Session {
    const info = {
      serverId: this.#serverId,
      serverKey: this.#serverKey,
      replies: true,
      isStatic: false,
      rotateAfter: 0,
    };
    const session = {
      profile: { name: "world", info },
      clock: { now: () => NOW, tick: () => 0 },
      keys: this.#disk,
      changeKeys: (change: (keys: Keys) => Keys): Promise<void> =>
        Promise.resolve().then(() => {
          this.#step("client");
          this.#disk = change(this.#disk);
          for (const secret of [this.#disk.current, this.#disk.next?.secret]) {
            if (secret && !this.secrets.some((known) => known.equals(secret))) this.secrets.push(secret);
          }
          session.keys = this.#disk;
          this.#step("client");
          return undefined;
        }),
      send: (secret: Secret, wish: Wish, targets: readonly Target[]): Promise<Outcome> =>
        Promise.resolve().then(() => {
          const deliveries = targets.map((target): Delivery => {
            this.#step("client");
            const reply = this.#send(secret, wish);
            this.#step("client");
            if (reply === undefined) return { target, state: "silent", unreachable: false };
            const local = { address: SOURCE.text, port: 1 };
            return {
              target,
              state: "answered",
              reply,
              done: reply.isDone,
              roundTrip: 1,
              receivedAt: NOW,
              local,
            };
          });
          const answered = deliveries.filter((delivery) => delivery.state === "answered");
          return { deliveries, best: answered.find(({ done }) => done) ?? answered[0] };
        }),
    };
    return session as unknown as Session;
  }

  #send(secret: Secret, wish: Wish) {
    const keys = new KeySchedule(secret, this.#serverId).keys(stepAt(NOW));
    const packet = makePacket(keys, makeRequest(wish, NOW, true), "spa");
    if (this.#isLost()) return undefined;
    this.#reply = undefined;
    try {
      this.#gate?.handle(frameOf(packet.datagram));
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.#restart();
    }
    // The daemon may have died after it answered.
    if (this.#reply === undefined || this.#isLost()) return undefined;
    const answer = packet.read(this.#reply);
    return answer && { ...answer, isDone: answer.result === packet.wanted };
  }

  /** The daemon dies, with whatever transaction it has open, and another begins. */
  #restart(): void {
    onSql = undefined;
    this.#store.close();
    this.#store = unwrap(DeviceStore.open(this.#folder));
    this.#start();
  }

  #start(): void {
    onSql = undefined;
    const devices = new DeviceTable({
      serverId: this.#serverId,
      skew: { past: 1, future: 1 },
      knock: undefined,
      seed: [...SEED],
    });
    for (const device of unwrap(this.#store.loadAll()).devices) devices.put(device, false);
    devices.advance(NOW);
    while (devices.work(100) > 0);
    const firewall = new DryRunFirewall({ log: () => undefined, now: () => 0 });
    unwrap(firewall.guardOn({ services: [makeService()], silent: [] }));
    const emit = (event: AuditEvent): void => void this.events.push(event);
    const policy = {
      users: new Map([["alice", makeUser()]]),
      services: new Map([[serviceName("ssh"), makeService()]]),
      rotateAfter: undefined,
      expireAfter: undefined,
    };
    const parts: GateParts = {
      now: () => NOW,
      random: (bytes) => randomBytes(bytes),
      verifier: new Verifier(devices),
      knocks: undefined as never,
      replays: new ReplayWindow<Told>(new SpentSteps()),
      counters: new Counters(DROP_REASONS),
      firewall: {
        open: (grant) => {
          const opened = firewall.open(grant);
          return opened.ok ? { ok: true, value: "confirmed" } : opened;
        },
        close: (service, source) => firewall.close(service, source),
      },
      journal: () => {
        this.#step("daemon");
        return { ok: true, value: undefined };
      },
      policy: () => policy,
      secrets: new StoredSecrets(this.#store, (device) => devices.put(device, false), emit),
      checkCode: () => "missing",
      grants: new OpenGrants(firewall, { opened: () => undefined, ended: () => undefined }, () => 0),
      used: () => undefined,
      emit,
      answer: (_path, payload) => {
        this.#step("daemon");
        this.#reply = payload;
        this.#step("daemon");
      },
    };
    this.#gate = new Gate(parts);
    onSql = () => this.#step("daemon");
  }
}

function frameOf(datagram: Uint8Array): FrameView {
  const bytes = concat(SOURCE.wire(), address("192.0.2.1").wire(), datagram);
  return Object.assign(new Frame(), {
    bytes,
    data: new DataView(bytes.buffer),
    sourceAt: 0,
    destinationAt: 4,
    sourcePort: 40_000,
    destinationPort: 62_201,
    payloadAt: 8,
    payloadLength: datagram.length,
  });
}
