import { TockError } from "../shared/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { AuditEvent } from "./core/event.ts";
import type { Firewall, GuardPlan, GuardState, Opened } from "./core/firewall.ts";
import type { Grant } from "./core/grant.ts";
import { type GuardWish, trialLeft, type TrialWish } from "./guard-wish.ts";

/** Keeps the guard as the owner wants it: puts it back when somebody took it away. */
export class GuardKeeper {
  readonly #firewall: Firewall;
  readonly #wish: GuardWish;
  readonly #emit: (event: AuditEvent) => void;
  #plan: GuardPlan;
  #trial: NodeJS.Timeout | undefined;
  #stopWatch: (() => void) | undefined;
  /** Why the guard is not there though it is wanted. */
  #trouble: TockError | undefined;
  /** The kernel has said that it has no guard, and nothing was put in since. */
  #isKnownOff = false;

  constructor(firewall: Firewall, plan: GuardPlan, wish: GuardWish, emit: (event: AuditEvent) => void) {
    this.#firewall = firewall;
    this.#plan = plan;
    this.#wish = wish;
    this.#emit = emit;
  }

  /** Puts the guard on if it is wanted, and watches over it. */
  start(): Result<void> {
    this.#stopWatch = this.#firewall.watch(() => this.#check());
    const wish = this.#wish.read();
    if (wish.kind === "off") return ok(undefined);
    if (wish.kind === "on") return this.#put("on", "start");
    if (trialLeft(wish, Date.now()) === 0) return this.#end();
    this.#arm(wish);
    return this.#put("trial", "start");
  }

  /** Puts the guard on as it was before the machine was restarted. */
  restore(): Result<void> {
    return this.#put("on", "start");
  }

  /** Ends the watch. The guard stays as it is. */
  stop(): void {
    this.#stopWatch?.();
    clearTimeout(this.#trial);
  }

  /** Seconds until a guard on trial takes itself off; undefined = it is not on trial. */
  get trialSeconds(): number | undefined {
    const trial = this.#liveTrial();
    return trial && Math.ceil(trialLeft(trial, Date.now()) / 1000);
  }

  /** Networks that the guard lets in without a grant. */
  get allow(): readonly string[] {
    return this.#plan.allow ?? [];
  }

  /** Asked for at every grant: the file is read only where there may be a trial. */
  get trial(): TrialWish | undefined {
    return this.#trial === undefined ? undefined : this.#liveTrial();
  }

  get state(): Result<GuardState> {
    const wish = this.#wish.read();
    if (wish.kind === "trial" && this.#liveTrial() === undefined) return ok("off");
    return this.#firewall.guardState(this.#current());
  }

  /**
   * Opens a grant. While the guard cannot be put back this fails, and the kernel is not asked: nobody knows what the
   * firewall does with a grant then, and it would have no owner when the guard is back. While the owner has it off there
   * is nothing to open and nothing that is shut: clients that ask before they connect, as ssh does, must get in then too.
   */
  open(grant: Grant): Result<Opened> {
    const opened = this.#trouble === undefined ? this.#firewall.open(grant) : err(this.#trouble);
    if (opened.ok) return ok("confirmed");
    return this.#isOff() ? ok("unguarded") : opened;
  }

  /** The guard is wanted from now on only if it could be put on. */
  on(): Result<void> {
    return this.#keep("on");
  }

  /**
   * Puts the guard on for so many seconds. The kernel itself ends it, whoever is killed meanwhile. Where it cannot be put on, or
   * `check`, which is asked then, says no, what was wanted before is wanted again.
   */
  onTrial(
    seconds: number,
    from: Pick<TrialWish, "client" | "clientPort">,
    check: () => Result<void> = () => ok(undefined),
  ): Result<void> {
    const before = this.#wish.read();
    const state = this.state;
    if (before.kind === "on" && state.ok && state.value === "on") {
      const hint = "tockd guard off takes it off";
      return err(new TockError("exists", "guard: it is on already, and not on trial", hint));
    }
    // A second earlier, as the kernel compares whole seconds.
    const start = Math.floor(Date.now() / 1000) - 1;
    const trial = { start, end: start + 1 + seconds, ...from };
    const wished = this.#wish.setTrial(trial);
    if (!wished.ok) return wished;
    const done = this.#put("trial", "command");
    const kept = done.ok ? check() : done;
    if (kept.ok) this.#arm(trial);
    else {
      this.#wish.putBack(before);
      if (this.#isWanted()) this.#check();
      else if (done.ok) this.#takeOff("command");
    }
    return kept;
  }

  /** Keeps a guard that is on trial. */
  confirm(): Result<void> {
    if (this.#liveTrial() === undefined) {
      const hint = "tockd guard status says how it stands";
      return err(new TockError("refused", "guard: there is no trial to confirm", hint));
    }
    return this.#keep("confirmed");
  }

  /** The plan from now on. Where the new rules cannot be put in, the old ones stay. */
  replan(plan: GuardPlan): Result<void> {
    const before = this.#plan;
    if (JSON.stringify(before) === JSON.stringify(plan)) return ok(undefined);
    this.#plan = plan;
    if (!this.#isWanted()) return ok(undefined);
    const done = this.#firewall.guardOn(this.#current());
    if (done.ok) return done;
    this.#plan = before;
    this.#firewall.guardOn(this.#current());
    return done;
  }

  /** The wish goes first: rules that stay, and are not wanted, nobody would look after. */
  #keep(state: "on" | "confirmed"): Result<void> {
    const before = this.#wish.read();
    const wished = this.#wish.set(true);
    if (!wished.ok) return wished;
    this.#isKnownOff = false;
    const done = this.#firewall.guardOn(this.#plan);
    if (done.ok) {
      this.#disarm();
      this.#trouble = undefined;
      this.#emit({ kind: "guard", state, by: "command" });
      return done;
    }
    this.#wish.putBack(before);
    this.#emit({ kind: "firewall-error", message: done.error.message });
    this.#trouble = before.kind === "on" ? done.error : undefined;
    return done;
  }

  off(): Result<void> {
    return this.#unwant("command");
  }

  /** A trial that nobody confirmed. */
  #end(): Result<void> {
    const done = this.#unwant("time");
    if (!done.ok) this.#emit({ kind: "firewall-error", message: done.error.message });
    return done;
  }

  /** The rules go in any case: this is the way back. */
  #unwant(by: "command" | "time"): Result<void> {
    const unwanted = this.#wish.set(false);
    const done = this.#takeOff(by);
    return done.ok ? unwanted : done;
  }

  #takeOff(by: "command" | "time"): Result<void> {
    this.#disarm();
    this.#trouble = undefined;
    const done = this.#firewall.guardOff();
    if (done.ok) this.#emit({ kind: "guard", state: "off", by });
    return done;
  }

  #disarm(): void {
    clearTimeout(this.#trial);
    this.#trial = undefined;
  }

  #arm(trial: Pick<TrialWish, "start" | "end">): void {
    clearTimeout(this.#trial);
    this.#trial = setTimeout(() => {
      const live = this.#liveTrial();
      if (live !== undefined) this.#arm(live);
      else if (this.#wish.read().kind === "trial") this.#end();
    }, trialLeft(trial, Date.now()) + 50);
  }

  #liveTrial(): TrialWish | undefined {
    const wish = this.#wish.read();
    return wish.kind === "trial" && trialLeft(wish, Date.now()) > 0 ? wish : undefined;
  }

  #isWanted(): boolean {
    return this.#wish.isOn || this.#liveTrial() !== undefined;
  }

  /** The owner wants no guard, and the kernel has none. It is asked once, as that may take long, and a packet waits for it. */
  #isOff(): boolean {
    if (this.#isWanted()) return false;
    if (this.#isKnownOff) return true;
    const state = this.#firewall.guardState(this.#plan);
    this.#isKnownOff = state.ok && state.value === "off";
    return this.#isKnownOff;
  }

  /** The plan, with the trial's time where it is on trial. */
  #current(): GuardPlan {
    const trial = this.#liveTrial();
    return trial === undefined
      ? this.#plan
      : { ...this.#plan, trial: { start: trial.start, end: trial.end } };
  }

  #put(state: "on" | "restored" | "trial", by: "start" | "command" | "watch"): Result<void> {
    this.#isKnownOff = false;
    const done = this.#firewall.guardOn(this.#current());
    this.#trouble = done.ok ? undefined : done.error;
    if (done.ok) this.#emit({ kind: "guard", state, by });
    else this.#emit({ kind: "firewall-error", message: done.error.message });
    return done;
  }

  #check(): void {
    this.#isKnownOff = false;
    if (!this.#isWanted()) return;
    const state = this.state;
    this.#trouble = state.ok ? undefined : state.error;
    if (!state.ok) this.#emit({ kind: "firewall-error", message: state.error.message });
    else if (state.value !== "on") this.#put("restored", "watch");
  }
}
