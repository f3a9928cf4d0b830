import { join } from "node:path";
import { ok, type Result } from "../shared/result.ts";
import { VERSION } from "../shared/version.ts";
import { Audit } from "./audit.ts";
import type { Settings } from "./config/settings.ts";
import { Counters, DROP_REASONS } from "./core/counters.ts";
import { DataPath } from "./data-path.ts";
import { DeviceKeeper } from "./device-keeper.ts";
import { UNKEPT } from "./event-desk.ts";
import { cutConnections } from "./firewall/connections.ts";
import { type Firewalls, openFirewall } from "./firewalls.ts";
import { GrantDesk } from "./grant-desk.ts";
import { GuardKeeper } from "./guard-keeper.ts";
import { GuardWish } from "./guard-wish.ts";
import { Hooks } from "./hooks.ts";
import { Ledger } from "./ledger.ts";
import { LiveControl } from "./live-control.ts";
import { grantsOpen, statusOf } from "./live-status.ts";
import type { Log } from "./log.ts";
import { Metrics, serveMetrics } from "./metrics.ts";
import { OpenGrants } from "./open-grants.ts";
import { guardPlanOf, mayKnock, systemNow } from "./plans.ts";
import { type Reloaded, Reloader, type Source } from "./reloader.ts";
import { checkCode } from "./second-factor.ts";
import { joinServiceManager } from "./service-manager.ts";
import { Repeater } from "./repeater.ts";
import { reportStart } from "./start-report.ts";
import { AuditTrail } from "./store/audit-trail.ts";
import { DeviceStore } from "./store/device-store.ts";
import { type Journal, openJournal } from "./store/journal.ts";
import { StoredSecrets } from "./stored-secrets.ts";
import { clockState } from "./sys/clock.ts";
import { flock } from "./sys/libc.ts";
import { collectGarbage, dropProgramPages } from "./sys/memory.ts";
import { endUnwanted, type UnwantedParts } from "./unwanted.ts";

/** How often what strangers caused is told, in one line. */
const SUMMARY_MILLIS = 60_000;
/** How often it is looked whose time is over. */
const SWEEP_MILLIS = 1_000;

/** The running daemon: the one place where all parts meet. */
export class Daemon {
  #settings: Settings;
  readonly #log: Log;
  readonly #audit: Audit;
  readonly #trail: AuditTrail;
  readonly #counters = new Counters(DROP_REASONS);
  readonly #ledger: Ledger;
  readonly #grants: OpenGrants;
  readonly #started = performance.now();
  readonly #store: DeviceStore;
  readonly #journal: Journal;
  readonly #firewall: Firewalls["firewall"];
  readonly #path: DataPath;
  readonly #keeper: DeviceKeeper;
  readonly #guard: GuardKeeper;
  readonly #metrics: Metrics;
  readonly #hooks: Hooks;
  #lost = 0;
  readonly #reloader: Reloader;
  readonly #sweeps = new Repeater(() => this.#sweep(), SWEEP_MILLIS);
  readonly #onStop: (() => void)[] = [];

  private constructor(
    source: Source,
    log: Log,
    store: DeviceStore,
    journal: Journal,
    { firewall, rules }: Firewalls,
  ) {
    const { settings } = source;
    this.#settings = settings;
    this.#log = log;
    this.#audit = new Audit(log);
    this.#store = store;
    this.#journal = journal;
    this.#firewall = firewall;
    const { emit } = this.#audit;
    const { state } = settings.server;
    this.#trail = new AuditTrail({ folder: state, now: Date.now, tell: (message) => log.warn(message) });
    this.#hooks = new Hooks(settings.hooks, log);
    this.#ledger = new Ledger(store.grants, systemNow, emit);
    this.#grants = new OpenGrants(
      firewall,
      this.#ledger,
      () => performance.now(),
      () => this.#sweeps.start(),
    );
    journal.onUnsynced(({ message }) => emit({ kind: "journal-error", message }));
    this.#guard = new GuardKeeper(firewall, guardPlanOf(settings), new GuardWish(state), emit);
    this.#path = new DataPath(settings, {
      serverId: store.identity.id,
      journal,
      firewall,
      rules,
      open: (grant) => this.#guard.open(grant),
      grants: this.#grants,
      counters: this.#counters,
      secrets: new StoredSecrets(store, (device) => this.#keeper.put(device), emit),
      checkCode: (device, code, now) => checkCode(store, device, code, now),
      used: (device, source, now) => this.#ledger.used(device, source, now),
      emit,
      log,
    });
    this.#keeper = new DeviceKeeper({
      store,
      table: () => this.#path.devices,
      grants: this.#grants,
      mayKnock: (device) => mayKnock(this.#settings, device),
      emit,
    });
    this.#reloader = new Reloader({
      source,
      path: this.#path,
      guard: this.#guard,
      grants: this.#grants,
      settings: () => this.#settings,
      take: (after) => {
        this.#settings = after;
        this.#hooks.settings = after.hooks;
      },
      emit,
    });
    this.#metrics = new Metrics({
      drops: () => this.#counters.totals(),
      capture: () => this.#path.stats(),
      grantsOpen: () => grantsOpen(firewall),
      devices: () => this.#path.devices.size,
      tags: () => this.#path.tags,
      guard: () => {
        const guard = this.#guard.state;
        return guard.ok ? guard.value : "unknown";
      },
      clock: clockState,
      trail: () => this.#trail.state,
      version: VERSION,
    });
    this.#audit.listen((_, record) => {
      if (!UNKEPT.has(record.kind)) this.#trail.append(record);
    });
    this.#audit.listen(this.#metrics.handle);
    this.#audit.listen(this.#hooks.handle);
  }

  /** Starts everything, in the order that leaves nothing open: the guard first, the capture last. */
  static async start(source: Source, log: Log): Promise<Result<Daemon>> {
    const { settings } = source;
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
    const daemon = new Daemon(source, log, store.value, journal.value, firewalls.value);
    const running = await daemon.#run();
    if (!running.ok) {
      await daemon.stop();
      return running;
    }
    return ok(daemon);
  }

  /** Stops. The guard and open grants stay as they are; the kernel ends the grants in their time. */
  async stop(): Promise<void> {
    for (const end of this.#onStop.toReversed()) end();
    this.#path.stop();
    this.#sweeps.stop();
    this.#ledger.flush();
    this.#audit.emit({ kind: "stopped", version: VERSION });
    this.#hooks.stop();
    this.#firewall.dispose();
    this.#journal.close();
    this.#store.close();
    await this.#trail.close();
  }

  /** Takes the configuration as it is now: all of it, or where something is wrong nothing. */
  reload(): Promise<Reloaded> {
    return this.#reloader.reload();
  }

  async #run(): Promise<Result<void>> {
    this.#audit.emit({ kind: "started", version: VERSION, ...this.#reloader.mistakes });
    // Before devices are loaded and packets looked for: neither is to wait for it.
    collectGarbage();
    const guarded = this.#guard.start();
    this.#onStop.push(() => this.#guard.stop());
    if (!guarded.ok) return guarded;
    const loaded = this.#keeper.load();
    if (!loaded.ok) return loaded;
    const owners = this.#store.grants.all();
    if (!owners.ok) return owners;
    const restored = this.#grants.restore(owners.value, this.#settings.services, systemNow());
    if (!restored.ok) return restored;
    const device: UnwantedParts["device"] = (id) => this.#path.devices.get(id);
    const parts = { grants: this.#grants, device, emit: this.#audit.emit };
    endUnwanted(parts, this.#settings, systemNow(), "start");
    const looking = this.#path.start();
    if (!looking.ok) return looking;
    const summary = setInterval(() => this.#summarise(), SUMMARY_MILLIS);
    this.#onStop.push(() => clearInterval(summary));
    const served = await this.#serve();
    if (!served.ok) return served;
    dropProgramPages();
    const started = { journal: this.#journal, guard: this.#guard, path: this.#path, log: this.#log };
    reportStart(this.#settings, started);
    this.#onStop.push(joinServiceManager(this.#path));
    this.#reloader.keep();
    return ok(undefined);
  }

  async #serve(): Promise<Result<void>> {
    const desk = new GrantDesk({
      now: systemNow,
      firewall: this.#firewall,
      grants: this.#grants,
      open: (grant) => this.#guard.open(grant),
      users: () => this.#settings.users,
      services: () => this.#settings.services,
      cut: (from, service) =>
        this.#firewall.name === "dry-run"
          ? ok(0)
          : cutConnections(from, service.ports, (line) => this.#log.debug(line)),
      emit: this.#audit.emit,
    });
    const control = new LiveControl({
      settings: () => this.#settings,
      guard: this.#guard,
      desk,
      audit: this.#audit,
      trail: this.#trail,
      metrics: this.#metrics,
      log: this.#log,
      status: () => {
        // Who asks for the status may read in the store what it stands for: when devices were used.
        this.#ledger.flushWaiting();
        return statusOf({
          guard: this.#guard,
          path: this.#path,
          firewall: this.#firewall,
          journal: this.#journal,
          trail: this.#trail,
          metrics: this.#metrics,
          packets: this.#counters.totals(),
          startedAt: this.#started,
          reloader: this.#reloader,
        });
      },
      reload: () => this.reload(),
      devicesChanged: () => {
        const read = this.#keeper.readChanges();
        this.#path.refresh();
        return read;
      },
    });
    const sockets = await control.serve();
    if (!sockets.ok) return sockets;
    for (const socket of sockets.value) this.#onStop.push(() => socket.close());
    const { listen } = this.#settings.metrics;
    if (listen === undefined) return ok(undefined);
    const figures = await serveMetrics(this.#metrics, listen.address, listen.port);
    if (!figures.ok) return figures;
    this.#onStop.push(() => figures.value.close());
    return ok(undefined);
  }

  /** True while there is something open. */
  #sweep(): boolean {
    for (const { device, service, source } of this.#grants.takeOver(systemNow())) {
      this.#audit.emit({ kind: "ended", device, service: service.name, allowed: source, why: "time" });
    }
    return this.#grants.size > 0;
  }

  #summarise(): void {
    const all = this.#path.stats().lost;
    const lost = all - this.#lost;
    this.#lost = all;
    const counts = this.#counters.take();
    if (counts !== undefined || lost > 0) this.#audit.emit({ kind: "drops", counts: counts ?? {}, lost });
  }
}
