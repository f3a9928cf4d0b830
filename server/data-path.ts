import { randomBytes } from "node:crypto";
import { timeStep, type UnixMillis } from "../shared/brand.ts";
import { ok, type Result } from "../shared/result.ts";
import { stepAt } from "../shared/time-step.ts";
import { AfPacketSource } from "./capture/af-packet.ts";
import { RawUdp } from "./capture/raw-udp.ts";
import { ClockWatch, systemClocks } from "./clock-watch.ts";
import type { Settings } from "./config/settings.ts";
import type { DeviceTable } from "./core/device-table.ts";
import type { KnockRules } from "./core/knock-rules.ts";
import { KnockTracker } from "./core/knock-tracker.ts";
import { addStats, type CaptureStats, type PacketSource } from "./core/packet-source.ts";
import { ReplayWindow } from "./core/replay-window.ts";
import { Verifier } from "./core/verify.ts";
import { Gate, type GateParts, type Told } from "./gate.ts";
import type { KernelEngine } from "./kernel/engine.ts";
import { followByKernel } from "./kernel/follow.ts";
import type { Log } from "./log.ts";
import { capturePlanOf, emptyTable, mayKnock, policyOf, systemNow } from "./plans.ts";
import { pooledRandom } from "./random-pool.ts";
import type { Changes } from "./reload.ts";
import { StepClock } from "./step-clock.ts";
import type { Journal } from "./store/journal.ts";
import type { Firewall } from "./core/firewall.ts";
import { warmUp } from "./warm-up.ts";
import { Watchdog } from "./watchdog.ts";

/** Devices derived at once while new tables are made beside those in use. */
const SLICE = 256;
const BUG_MILLIS = 10_000;

export interface PathParts extends Pick<GateParts, "counters" | "secrets" | "checkCode" | "used" | "emit"> {
  readonly serverId: Uint8Array;
  readonly journal: Journal;
  readonly firewall: Firewall;
  readonly open: GateParts["firewall"]["open"];
  /** Given where the kernel follows knocks by itself, and no packet is looked at. */
  readonly rules: KnockRules | undefined;
  readonly grants: GateParts["grants"];
  readonly log: Log;
}

/** From a packet's arrival to its answer: everything that must change together when the configuration does. */
export class DataPath {
  readonly #parts: PathParts;
  readonly #seed = [...new Uint32Array(Uint8Array.from(randomBytes(8)).buffer)] as [number, number];
  readonly #replays: ReplayWindow<Told>;
  readonly #watch: ClockWatch;
  #settings: Settings;
  #policy: ReturnType<typeof policyOf>;
  #devices: DeviceTable;
  readonly #verifier: Verifier;
  readonly #knocks: KnockTracker;
  #clock: StepClock | undefined;
  #gate: Gate | undefined;
  #source: PacketSource | undefined;
  #engine: KernelEngine | undefined;
  #raw: RawUdp | undefined;
  #watchdog: Watchdog | undefined;
  #toldBugAt = Number.NEGATIVE_INFINITY;
  /** Packets lost by captures that were replaced. */
  #before = addStats();

  constructor(settings: Settings, parts: PathParts) {
    this.#parts = parts;
    this.#settings = settings;
    this.#policy = policyOf(settings);
    this.#watch = new ClockWatch(systemClocks, (to) => this.#jumped(to));
    this.#replays = new ReplayWindow(parts.journal.spent);
    for (const entry of parts.journal.entries) this.#replays.record(entry, entry.source, undefined);
    this.#devices = this.#makeTable(settings);
    this.#verifier = new Verifier(this.#devices);
    this.#knocks = new KnockTracker(this.#devices, this.#seed);
  }

  /** The table in use. */
  get devices(): DeviceTable {
    return this.#devices;
  }

  get filter(): PacketSource["filter"] {
    return this.#source?.filter ?? "none";
  }

  /** Tags that packets may carry now. */
  get tags(): number {
    return this.#devices.tags;
  }

  stats(): CaptureStats {
    return addStats(this.#before, this.#source?.stats());
  }

  /** Devices are loaded: derives their keys, and begins to look. */
  start(): Result<void> {
    this.#startClock();
    return this.#parts.rules ? this.#follow(this.#parts.rules) : this.#listen();
  }

  /** Devices were put or removed. */
  refresh(): void {
    this.#engine?.refresh();
  }

  /** Calls `feed` every `interval` ms as long as packets are seen; where no packet is looked at, always. */
  watch(feed: () => void, interval: number): void {
    const raw = this.#raw;
    if (raw === undefined) {
      setInterval(feed, interval).unref();
      return;
    }
    const port = (): number => this.#settings.server.port;
    const tags = (): PacketSource["tags"] | undefined => this.#source?.tags;
    this.#watchdog = new Watchdog({ port, raw, tags, feed, random: randomBytes }, interval);
  }

  stop(): void {
    this.#watchdog?.stop();
    this.#clock?.stop();
    this.#engine?.stop();
    this.#source?.close();
    this.#raw?.close();
  }

  /** Makes, in slices, the tables that new settings need; undefined where the present ones will do. */
  async prepare(settings: Settings, { tables }: Changes): Promise<DeviceTable | undefined> {
    if (!tables) return undefined;
    const table = this.#makeTable(settings);
    for (const device of this.#devices.devices()) table.put(device, mayKnock(settings, device));
    table.advance(systemNow());
    while (table.work(SLICE) > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    return table;
  }

  /** Opens the capture that new settings need; undefined where the present one will do. */
  openCapture(settings: Settings, { capture }: Changes): Result<PacketSource | undefined> {
    const gate = this.#gate;
    return capture && gate !== undefined ? this.#openSource(settings, gate) : ok(undefined);
  }

  /** Goes over to new settings, between two packets. Fails only where the kernel follows knocks; then all is as before. */
  change(settings: Settings, table: DeviceTable | undefined, source: PacketSource | undefined): Result<void> {
    const before = { settings: this.#settings, devices: this.#devices, engine: this.#engine };
    this.#take(settings, table ?? this.#devices);
    if (source !== undefined) this.#takeSource(source);
    else if (table !== undefined) this.#source?.tags.replace(this.#devices.packTags());
    const { rules } = this.#parts;
    if (rules === undefined) return ok(undefined);
    const followed = this.#follow(rules);
    if (followed.ok) before.engine?.stop();
    else {
      this.#take(before.settings, before.devices);
      // It was never stopped, and goes on trying where the kernel refuses its rules too.
      before.engine?.refresh();
    }
    return followed;
  }

  #take(settings: Settings, table: DeviceTable): void {
    const before = this.#settings;
    this.#settings = settings;
    this.#policy = policyOf(settings);
    if (table !== this.#devices) this.#takeTable(table, settings);
    for (const device of this.#devices.devices()) {
      const knocks = mayKnock(settings, device);
      if (knocks !== mayKnock(before, device)) this.#devices.put(device, knocks);
    }
  }

  #openSource(settings: Settings, gate: Gate): Result<PacketSource> {
    return AfPacketSource.open(capturePlanOf(settings), (frame) => {
      try {
        if (this.#watchdog?.takes(frame) !== true) gate.handle(frame);
      } catch (error) {
        this.#tellBug(error);
      }
    });
  }

  /** An exception is a bug. It must not end the daemon for whoever found out how to cause it, nor fill the log. */
  #tellBug(error: unknown): void {
    const now = performance.now();
    if (now - this.#toldBugAt < BUG_MILLIS) return;
    this.#toldBugAt = now;
    const stack = error instanceof Error ? error.stack : String(error);
    this.#parts.log.error({ stack }, "a packet could not be handled: this is a bug of tockd");
  }

  #makeTable(settings: Settings): DeviceTable {
    const { serverId } = this.#parts;
    const table: DeviceTable = emptyTable(settings, serverId, this.#seed, () => this.#feed(table));
    return table;
  }

  /** Only the table in use feeds the kernel's filter. */
  #feed(table: DeviceTable): PacketSource["tags"] | undefined {
    return table === this.#devices ? this.#source?.tags : undefined;
  }

  /** Devices may have changed while the table was made. */
  #takeTable(table: DeviceTable, settings: Settings): void {
    for (const { id } of [...table.devices()]) if (this.#devices.get(id) === undefined) table.remove(id);
    for (const device of this.#devices.devices()) table.put(device, mayKnock(settings, device));
    this.#devices = table;
    this.#verifier.devices = table;
    this.#knocks.devices = table;
    this.#startClock();
  }

  /** What came before goes through the old capture, the rest through the new one; what both have seen is a duplicate. */
  #takeSource(source: PacketSource): void {
    source.tags.replace(this.#devices.packTags());
    this.#source?.drain();
    this.#before = this.stats();
    this.#source?.close();
    this.#source = source;
  }

  /** Machines start with wrong clocks: what a crash lost may lie in the steps that were jumped over. */
  #jumped(to: UnixMillis): void {
    const { journal, emit, log } = this.#parts;
    const before = journal.spent.doubt;
    const doubted = journal.extendDoubt(timeStep(stepAt(to) + this.#settings.skew.future));
    if (!doubted.ok) emit({ kind: "journal-error", message: doubted.error.message });
    if (journal.spent.doubt === before) return;
    const seconds = Math.ceil((journal.refusingUntil - to) / 1000);
    log.warn({ seconds }, "the clock has jumped forward: packets are refused for a while, to be safe");
  }

  #startClock(): void {
    this.#clock?.stop();
    const { journal } = this.#parts;
    const { skew } = this.#settings;
    this.#clock = new StepClock({
      now: this.#watch.now,
      skew,
      devices: this.#devices,
      replays: this.#replays,
      journal,
    });
    this.#clock.start();
  }

  /** Instead of packets, rules: the kernel follows knocks, and the daemon the clock. */
  #follow(rules: KnockRules): Result<void> {
    const { serverId, firewall, journal, grants, emit, log } = this.#parts;
    const engine = followByKernel({
      settings: this.#settings,
      serverId,
      devices: this.#devices,
      rules,
      firewall,
      replays: this.#replays,
      journal: (use, source) => journal.append(use, source),
      granted: (grant) => grants.add(grant),
      emit,
      log,
    });
    if (!engine.ok) return engine;
    this.#engine = engine.value;
    return ok(undefined);
  }

  #listen(): Result<void> {
    const { counters, secrets, checkCode, grants, used, emit, open, firewall, journal, log } = this.#parts;
    const raw = RawUdp.open();
    if (!raw.ok) return raw;
    this.#raw = raw.value;
    const gate = new Gate({
      now: this.#watch.now,
      random: pooledRandom(),
      verifier: this.#verifier,
      knocks: this.#knocks,
      replays: this.#replays,
      counters,
      firewall: { open, close: (service, source) => firewall.close(service, source) },
      journal: (use, source) => journal.append(use, source),
      policy: () => this.#policy,
      secrets,
      checkCode,
      grants,
      used,
      emit,
      answer: (path, payload) => {
        if (this.#settings.server.reply === "never") return;
        const from = { address: path.destination, port: path.destinationPort };
        const to = { address: path.source, port: path.sourcePort };
        const sent = raw.value.send(from, to, payload, path.interfaceIndex);
        if (!sent.ok) log.debug(sent.error.message);
      },
    });
    const source = this.#openSource(this.#settings, gate);
    if (!source.ok) return source;
    this.#gate = gate;
    this.#source = source.value;
    source.value.tags.replace(this.#devices.packTags());
    warmUp((grant) => firewall.rehearse(grant));
    return ok(undefined);
  }
}
