import { type TimeStep, type UnixMillis, unixMillis } from "../../shared/brand.ts";
import { fromHex } from "../../shared/bytes.ts";
import type { TockError } from "../../shared/errors.ts";
import { ok, type Result } from "../../shared/result.ts";
import { type Skew, skewWindow } from "../../shared/time-step.ts";
import { Address } from "../../shared/address.ts";
import type { Device } from "../core/device.ts";
import type { AuditEvent } from "../core/event.ts";
import type { Firewall } from "../core/firewall.ts";
import type { Grant } from "../core/grant.ts";
import type { KnockRules, StepWalks, Walk } from "../core/knock-rules.ts";
import { decideKnock } from "../core/policy.ts";
import { knockId, type ReplayWindow, type Use } from "../core/replay-window.ts";
import { type LeftOut, type WalkMaker, walksOf } from "./walks.ts";

/** Whoever asks: what was used is used for everybody. */
const NOBODY = Address.v4(new Uint8Array(4));
/** How often it is looked whether the kernel still has the rules. */
const CHECK = 5_000;

export interface EngineParts {
  readonly now: () => UnixMillis;
  readonly skew: Skew;
  /** Milliseconds before a step enters the window that its rules are put in: they have their own date, so they may be early. */
  readonly lead: number;
  /** What walks are made of; devices and policy are asked for anew each time. */
  readonly maker: () => WalkMaker;
  readonly devices: (id: Device["id"]) => Device | undefined;
  readonly rules: KnockRules;
  readonly firewall: Pick<Firewall, "close" | "watch">;
  readonly replays: ReplayWindow<unknown>;
  /** Writes a use down. */
  readonly journal: (use: Use, source: Address) => Result<void>;
  readonly granted: (grant: Grant) => void;
  readonly emit: (event: AuditEvent) => void;
  /** Told once of each device that rules cannot let in, and again after a change. */
  readonly leftOut: (device: LeftOut) => void;
}

/**
 * Keeps the walks of the skew window in the kernel, and writes down who completed one. It sees no packet: the kernel opens by
 * itself, each step's rules hold for that step's time only, and each sequence works once.
 */
export class KernelEngine {
  readonly #parts: EngineParts;
  /** Steps as they were put in. */
  readonly #steps = new Map<TimeStep, StepWalks>();
  readonly #told = new Set<string>();
  readonly #seen = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #stopWatch: (() => void) | undefined;
  #checkAt: UnixMillis | undefined;
  #retryAt = 0;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  /** Learns what happened while nobody looked, and puts the rules in; then keeps up with clock and kernel. */
  start(): Result<void> {
    const began = this.begin();
    if (!began.ok) return began;
    const { rules, firewall } = this.#parts;
    this.#timer = setInterval(() => this.tick(), rules.pollMillis);
    this.#stopWatch = firewall.watch(() => this.check());
    return ok(undefined);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopWatch?.();
  }

  /** One look and one change, without going on. */
  begin(): Result<void> {
    const { now } = this.#parts;
    const at = now();
    for (const step of this.#wanted(at)) this.#make(step, at, false);
    const learnt = this.#learn();
    this.#steps.clear();
    return learnt.ok ? this.#sync() : learnt;
  }

  /** Devices or policy have changed: every step is made anew. */
  refresh(): void {
    this.#learn();
    this.#steps.clear();
    this.#told.clear();
    this.#checkAt = undefined;
    this.tick();
  }

  /** Somebody may have changed the rules: they are looked at with the next tick. */
  check(): void {
    this.#checkAt = undefined;
  }

  /** Learns of wins, and moves the rules on where the clock has. */
  tick(): void {
    const { now } = this.#parts;
    const at = now();
    if (at < this.#retryAt) return;
    const learnt = this.#learn();
    if (!learnt.ok) return this.#failed(learnt.error, at);
    const isDue = this.#checkAt === undefined || at >= this.#checkAt || at < this.#checkAt - CHECK;
    const isMoved = this.#wanted(at).some((step) => !this.#steps.has(step)) || this.#isStale(at);
    if (!isDue && !isMoved) return;
    const done = this.#sync();
    if (!done.ok) this.#failed(done.error, at);
  }

  #failed({ message }: TockError, at: UnixMillis): void {
    this.#retryAt = at + 1_000;
    this.#parts.emit({ kind: "firewall-error", message });
  }

  /** The steps of the window now, and those of the window a moment later. */
  #wanted(at: UnixMillis): TimeStep[] {
    const { skew, lead } = this.#parts;
    return [...new Set([...skewWindow(at, skew), ...skewWindow(unixMillis(at + lead), skew)])];
  }

  #isStale(at: UnixMillis): boolean {
    const wanted = new Set(this.#wanted(at));
    return [...this.#steps.keys()].some((step) => !wanted.has(step));
  }

  #sync(): Result<void> {
    const { now, rules } = this.#parts;
    const at = now();
    this.#checkAt = unixMillis(at + CHECK);
    const held = rules.held();
    if (!held.ok) return held;
    if (held.value === undefined) {
      // Without the guard nothing leads here; it may be put on at any time.
      this.#retryAt = at + 1_000;
      this.#steps.clear();
      return ok(undefined);
    }
    const wanted = this.#wanted(at);
    const there = new Set(held.value);
    const keep: StepWalks[] = [];
    const put: StepWalks[] = [];
    for (const step of wanted) {
      const known = there.has(step) ? this.#steps.get(step) : undefined;
      if (known === undefined) put.push(this.#make(step, at, true));
      else keep.push(known);
    }
    const isSame =
      put.length === 0 && held.value.every((step) => this.#steps.has(step) && wanted.includes(step));
    if (isSame) return ok(undefined);
    const done = rules.replace(put, keep);
    if (!done.ok) {
      // The kernel may hold these steps as they were before: they are put in anew the next time.
      for (const { step } of put) this.#steps.delete(step);
      return done;
    }
    for (const step of [...this.#steps.keys()]) if (!wanted.includes(step)) this.#steps.delete(step);
    this.#forgetSeen();
    return ok(undefined);
  }

  /** Makes a step's walks, without those that are used up if they are for the kernel. */
  #make(step: TimeStep, at: UnixMillis, fresh: boolean): StepWalks {
    const { leftOut, walks, ...bounds } = walksOf(step, this.#parts.maker(), at);
    for (const device of leftOut) {
      const key = `${device.device} ${device.rule}`;
      if (!this.#told.has(key)) this.#parts.leftOut(device);
      this.#told.add(key);
    }
    const made = { ...bounds, walks: fresh ? walks.filter((walk) => this.#isUnused(step, walk)) : walks };
    this.#steps.set(step, made);
    return made;
  }

  #isUnused(step: TimeStep, walk: Walk): boolean {
    return this.#parts.replays.classify(useOf(step, walk), NOBODY, 0).kind === "new";
  }

  /** Writes down every win that is new. */
  #learn(): Result<void> {
    const wins = this.#parts.rules.wins();
    if (!wins.ok) return wins;
    for (const { id, source } of wins.value) {
      const key = `${id} ${source.text}`;
      if (this.#seen.has(key)) continue;
      for (const [step, { walks }] of this.#steps) {
        for (const walk of walks.filter((each) => each.id.startsWith(id))) {
          this.#seen.add(key);
          this.#won(step, walk, source);
        }
      }
    }
    return ok(undefined);
  }

  #won(step: TimeStep, walk: Walk, source: Address): void {
    const { rules, replays, journal, emit, devices } = this.#parts;
    const use = useOf(step, walk);
    const standing = replays.classify(use, source, 0);
    rules.burn(walk.id);
    if (standing.kind === "duplicate") return;
    const device = devices(walk.device);
    if (standing.kind !== "new" || device === undefined) {
      this.#shut(walk, source);
      if (standing.kind === "replay")
        emit({ kind: "replayed", device: walk.device, source, first: standing.first });
      return;
    }
    const written = journal(use, source);
    replays.record(use, source, undefined);
    if (!written.ok) {
      this.#shut(walk, source);
      emit({ kind: "journal-error", message: written.error.message });
      return;
    }
    this.#tell(walk, device, source);
  }

  /** The kernel has opened already; the policy may have changed since its rules were made. */
  #tell(walk: Walk, device: Device, source: Address): void {
    const { now, maker, emit, granted } = this.#parts;
    const decisions = decideKnock({ device, slot: walk.slot, source }, maker().policy, now());
    if (!decisions.some(({ kind }) => kind === "grant")) this.#shut(walk, source);
    for (const decision of decisions) {
      if (decision.kind === "grant") {
        const { grant, capped } = decision;
        granted(grant);
        emit({
          kind: "granted",
          device: device.id,
          source,
          via: "knock",
          service: grant.service.name,
          allowed: grant.source,
          lifetime: grant.lifetime,
          capped,
          micros: 0,
        });
      } else if (decision.kind === "refuse") {
        emit({ kind: "refused", device: device.id, source, service: undefined, rule: decision.rule });
      }
    }
  }

  #shut({ doors, device }: Walk, source: Address): void {
    for (const { service } of doors) {
      const closed = this.#parts.firewall.close(service, source);
      if (!closed.ok) this.#parts.emit({ kind: "firewall-error", message: closed.error.message, device });
    }
  }

  #forgetSeen(): void {
    const ids = [...this.#steps.values()].flatMap(({ walks }) => walks.map(({ id }) => id));
    for (const key of this.#seen) {
      const [id = ""] = key.split(" ");
      if (!ids.some((each) => each.startsWith(id))) this.#seen.delete(key);
    }
  }
}

function useOf(step: TimeStep, walk: Walk): Use {
  return { step, id: knockId(fromHex(walk.id) ?? new Uint8Array(8)) };
}
