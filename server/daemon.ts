import { randomBytes } from "node:crypto";
import type { Server } from "node:net";
import { join } from "node:path";
import type { UnixMillis } from "../shared/brand.ts";
import { ok, type Result } from "../shared/result.ts";
import { VERSION } from "../shared/version.ts";
import type { Handlers, Status } from "./admin/methods.ts";
import { serveAdmin } from "./admin/server.ts";
import { Audit } from "./audit.ts";
import { AfPacketSource } from "./capture/af-packet.ts";
import { RawUdp } from "./capture/raw-udp.ts";
import type { Settings } from "./config/settings.ts";
import { Counters, DROP_REASONS } from "./core/counters.ts";
import { DeviceTable } from "./core/device-table.ts";
import type { Firewall } from "./core/firewall.ts";
import type { KnockRules } from "./core/knock-rules.ts";
import { KnockTracker } from "./core/knock-tracker.ts";
import type { PacketSource } from "./core/packet-source.ts";
import { ReplayWindow } from "./core/replay-window.ts";
import { Verifier } from "./core/verify.ts";
import { DeviceKeeper } from "./device-keeper.ts";
import { type Firewalls, openFirewall } from "./firewalls.ts";
import { Gate, type Told } from "./gate.ts";
import { GuardKeeper, GuardWish } from "./guard-keeper.ts";
import type { KernelEngine } from "./kernel/engine.ts";
import { followByKernel } from "./kernel/follow.ts";
import { knocking, knockWarning } from "./knock-warning.ts";
import { Ledger } from "./ledger.ts";
import type { Log } from "./log.ts";
import { OpenGrants } from "./open-grants.ts";
import { capturePlanOf, guardPlanOf, isKnockUsed, mayKnock, policyOf, systemNow } from "./plans.ts";
import { checkCode } from "./second-factor.ts";
import { StepClock } from "./step-clock.ts";
import { DeviceStore } from "./store/device-store.ts";
import { type Journal, openJournal } from "./store/journal.ts";
import { StoredSecrets } from "./stored-secrets.ts";
import { flock } from "./sys/libc.ts";

/** How often what strangers caused is told, in one line. */
const SUMMARY_MILLIS = 60_000;

/** The running daemon: the one place where all parts meet. */
export class Daemon {
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #audit: Audit;
  readonly #counters = new Counters(DROP_REASONS);
  readonly #ledger: Ledger;
  readonly #grants: OpenGrants;
  readonly #started = performance.now();
  readonly #store: DeviceStore;
  readonly #journal: Journal;
  readonly #firewall: Firewall;
  readonly #rules: KnockRules | undefined;
  readonly #devices: DeviceTable;
  readonly #keeper: DeviceKeeper;
  readonly #guard: GuardKeeper;
  readonly #seed: [number, number];
  #lost = 0;
  #source: PacketSource | undefined;
  #engine: KernelEngine | undefined;
  readonly #onStop: (() => void)[] = [];

  private constructor(
    settings: Settings,
    log: Log,
    store: DeviceStore,
    journal: Journal,
    { firewall, rules }: Firewalls,
  ) {
    this.#settings = settings;
    this.#log = log;
    this.#audit = new Audit(log);
    this.#store = store;
    this.#journal = journal;
    this.#firewall = firewall;
    this.#rules = rules;
    const seed = [...new Uint32Array(Uint8Array.from(randomBytes(8)).buffer)] as [number, number];
    this.#devices = new DeviceTable({
      serverId: store.identity.id,
      skew: settings.skew,
      knock: isKnockUsed(settings) ? settings.knock : undefined,
      seed,
      feed: {
        add: (tags) => this.#source?.tags.add(tags),
        remove: (tags) => this.#source?.tags.remove(tags),
      },
    });
    const { emit } = this.#audit;
    this.#ledger = new Ledger(store.grants, systemNow, emit);
    this.#grants = new OpenGrants(firewall, this.#ledger);
    this.#keeper = new DeviceKeeper({
      store,
      table: this.#devices,
      grants: this.#grants,
      mayKnock: (device) => mayKnock(settings, device),
      emit,
    });
    this.#guard = new GuardKeeper(
      firewall,
      guardPlanOf(settings),
      new GuardWish(settings.server.state),
      emit,
    );
    this.#seed = seed;
  }

  /** Starts everything, in the order that leaves nothing open: the guard first, the capture last. */
  static async start(settings: Settings, log: Log): Promise<Result<Daemon>> {
    const opened: { close(): void }[] = [];
    const fail = <T>(result: T): T => {
      for (const part of opened.toReversed()) part.close();
      return result;
    };
    const store = DeviceStore.open(settings.server.state);
    if (!store.ok) return fail(store);
    opened.push(store.value);
    const journal = openJournal({
      path: join(settings.server.state, "journal"),
      serverId: store.value.identity.id,
      skew: settings.skew,
      now: systemNow(),
      lock: (fd) => flock(fd) === 0,
    });
    if (!journal.ok) return fail(journal);
    opened.push(journal.value);
    const firewalls = openFirewall(settings, {
      log: (line) => log.debug(line),
      now: () => performance.now(),
    });
    if (!firewalls.ok) return fail(firewalls);
    opened.push({ close: () => firewalls.value.firewall.dispose() });
    const daemon = new Daemon(settings, log, store.value, journal.value, firewalls.value);
    const running = await daemon.#run();
    if (!running.ok) {
      daemon.stop();
      return running;
    }
    return ok(daemon);
  }

  /** Stops. The guard and open grants stay as they are; the kernel ends the grants in their time. */
  stop(): void {
    for (const end of this.#onStop.toReversed()) end();
    this.#ledger.flush();
    this.#firewall.dispose();
    this.#journal.close();
    this.#store.close();
  }

  async #run(): Promise<Result<void>> {
    const guarded = this.#guard.start();
    this.#onStop.push(() => this.#guard.stop());
    if (!guarded.ok) return guarded;
    const loaded = this.#keeper.load();
    if (!loaded.ok) return loaded;
    const owners = this.#store.grants.all();
    if (!owners.ok) return owners;
    const restored = this.#grants.restore(owners.value, this.#settings.services, systemNow());
    if (!restored.ok) return restored;

    const replays = new ReplayWindow<Told>(this.#journal.spent);
    for (const entry of this.#journal.entries) replays.record(entry, entry.source, undefined);
    const { skew } = this.#settings;
    const parts = { now: systemNow, skew, devices: this.#devices, replays, journal: this.#journal };
    const clock = new StepClock(parts);
    clock.start();
    this.#onStop.push(() => clock.stop());

    const listening = this.#rules ? this.#follow(this.#rules, replays) : this.#listen(replays);
    if (!listening.ok) return listening;
    const summary = setInterval(() => this.#summarise(), SUMMARY_MILLIS);
    this.#onStop.push(() => clearInterval(summary));
    const admin = await this.#serve();
    if (!admin.ok) return admin;
    this.#sayStart();
    return ok(undefined);
  }

  /** Instead of packets, rules: the kernel follows knocks, and the daemon the clock. */
  #follow(rules: KnockRules, replays: ReplayWindow<Told>): Result<void> {
    const engine = followByKernel({
      settings: this.#settings,
      serverId: this.#store.identity.id,
      devices: this.#devices,
      rules,
      firewall: this.#firewall,
      replays,
      journal: (use, source) => this.#journal.append(use, source),
      granted: (grant) => this.#grants.add(grant),
      emit: this.#audit.emit,
      log: this.#log,
    });
    if (!engine.ok) return engine;
    this.#engine = engine.value;
    this.#onStop.push(() => engine.value.stop());
    return ok(undefined);
  }

  #listen(replays: ReplayWindow<Told>): Result<void> {
    const raw = RawUdp.open();
    if (!raw.ok) return raw;
    this.#onStop.push(() => raw.value.close());
    const gate = new Gate({
      now: systemNow,
      random: (bytes) => randomBytes(bytes),
      verifier: new Verifier(this.#devices),
      knocks: new KnockTracker(this.#devices, this.#seed),
      replays,
      counters: this.#counters,
      firewall: {
        open: (grant) => this.#guard.open(grant),
        close: (service, source) => this.#firewall.close(service, source),
      },
      journal: (use, source) => this.#journal.append(use, source),
      policy: () => policyOf(this.#settings),
      secrets: new StoredSecrets(this.#store, (device) => this.#keeper.put(device), this.#audit.emit),
      checkCode: (device, code, now) => checkCode(this.#store, device, code, now),
      grants: this.#grants,
      used: (device, source, now) => this.#ledger.used(device, source, now),
      emit: this.#audit.emit,
      answer:
        this.#settings.server.reply === "never"
          ? undefined
          : (path, payload) => {
              const from = { address: path.destination, port: path.destinationPort };
              const to = { address: path.source, port: path.sourcePort };
              const sent = raw.value.send(from, to, payload, path.interfaceIndex);
              if (!sent.ok) this.#log.debug(sent.error.message);
            },
    });
    const source = AfPacketSource.open(capturePlanOf(this.#settings), (frame) => gate.handle(frame));
    if (!source.ok) return source;
    this.#source = source.value;
    source.value.tags.replace(this.#devices.packTags());
    this.#onStop.push(() => source.value.close());
    return ok(undefined);
  }

  async #serve(): Promise<Result<Server>> {
    const handlers: Handlers = {
      status: () => this.#status(),
      "guard-on": () => this.#guard.on(),
      "guard-off": () => this.#guard.off(),
      "devices-changed": () => {
        const read = this.#keeper.readChanges();
        this.#engine?.refresh();
        return read;
      },
    };
    const server = await serveAdmin(this.#settings.server.socket, 0o600, handlers);
    if (server.ok) this.#onStop.push(() => server.value.close());
    return server;
  }

  #summarise(): void {
    const lost = (this.#source?.stats().lost ?? 0) - this.#lost;
    this.#lost += lost;
    const counts = this.#counters.take();
    if (counts !== undefined || lost > 0) this.#audit.emit({ kind: "drops", counts: counts ?? {}, lost });
  }

  #status(): Result<Status> {
    const guard = this.#guard.state;
    if (!guard.ok) return guard;
    const now = systemNow();
    return ok({
      version: VERSION,
      pid: process.pid,
      upSeconds: Math.floor((performance.now() - this.#started) / 1000),
      backend: this.#firewall.name,
      filter: this.#source?.filter ?? "none",
      guard: guard.value,
      devices: this.#devices.size,
      grants: this.#grants.list(now).length,
      packets: this.#counters.totals(),
      lost: this.#source?.stats().lost ?? 0,
      refusingUntil: this.#refusingUntil(now),
    });
  }

  #refusingUntil(now: UnixMillis): number {
    const until = this.#journal.refusingUntil;
    return until > now ? until : 0;
  }

  #sayStart(): void {
    const now = systemNow();
    const until = this.#refusingUntil(now);
    if (this.#journal.distrust !== undefined && until > 0) {
      const reason = this.#journal.distrust;
      const seconds = Math.ceil((until - now) / 1000);
      this.#log.warn(
        { reason, seconds },
        "replay journal not trusted: packets are refused for a while, to be safe",
      );
    }
    const guard = this.#guard.state;
    if (guard.ok && guard.value === "off") {
      this.#log.warn("the guard is off: protected ports are open to everybody; tockd guard on");
    }
    const guessable = knockWarning(this.#settings, knocking(this.#settings, this.#devices.devices()));
    if (guessable !== undefined) this.#log.warn(guessable, "knock sequences could be guessed");
    const { backend } = this.#settings.firewall;
    const { engine } = this.#settings.server;
    this.#log.info(
      { engine, backend, filter: this.#source?.filter, devices: this.#devices.size, version: VERSION },
      "ready",
    );
  }
}
