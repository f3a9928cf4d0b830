import { closeSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TockError } from "../shared/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { AuditEvent } from "./core/event.ts";
import type { Firewall, GuardPlan, GuardState } from "./core/firewall.ts";
import type { Grant } from "./core/grant.ts";
import { codeOf, putFile } from "./store/journal-io.ts";

/** Whether the guard is wanted, kept in the state folder so that it outlives the daemon and the machine's restart. */
export class GuardWish {
  readonly #file: string;

  constructor(state: string) {
    this.#file = join(state, "guard");
  }

  /** A file that is there but cannot be read counts as on. */
  get isOn(): boolean {
    try {
      return readFileSync(this.#file, "utf8").trim() !== "off";
    } catch (error) {
      return codeOf(error) !== "ENOENT";
    }
  }

  set(on: boolean): Result<void> {
    try {
      if (on)
        closeSync(
          putFile(
            this.#file,
            "over",
            () => true,
            () => Buffer.from("on\n"),
          ),
        );
      else rmSync(this.#file, { force: true });
      return ok(undefined);
    } catch (error) {
      return err(new TockError("io", `guard: cannot write ${this.#file}: ${codeOf(error)}`));
    }
  }
}

/** Keeps the guard as the owner wants it: puts it back when somebody took it away. */
export class GuardKeeper {
  readonly #firewall: Firewall;
  readonly #wish: GuardWish;
  readonly #emit: (event: AuditEvent) => void;
  readonly #plan: GuardPlan;
  #stopWatch: (() => void) | undefined;
  /** Why the guard is not there though it is wanted. */
  #trouble: TockError | undefined;

  constructor(firewall: Firewall, plan: GuardPlan, wish: GuardWish, emit: (event: AuditEvent) => void) {
    this.#firewall = firewall;
    this.#plan = plan;
    this.#wish = wish;
    this.#emit = emit;
  }

  /** Puts the guard on if it is wanted, and watches over it. */
  start(): Result<void> {
    this.#stopWatch = this.#firewall.watch(() => this.#check());
    return this.#wish.isOn ? this.#put("on", "start") : ok(undefined);
  }

  /** Ends the watch. The guard stays as it is. */
  stop(): void {
    this.#stopWatch?.();
  }

  get state(): Result<GuardState> {
    return this.#firewall.guardState(this.#plan);
  }

  /**
   * Opens a grant. While the guard cannot be put back this fails, also where the kernel took the grant: nobody knows
   * then what the firewall does with it.
   */
  open(grant: Grant): Result<void> {
    const opened = this.#firewall.open(grant);
    return opened.ok && this.#trouble !== undefined ? err(this.#trouble) : opened;
  }

  /** The guard is wanted from now on only if it could be put on. */
  on(): Result<void> {
    const done = this.#put("on", "command");
    if (done.ok) return this.#wish.set(true);
    if (!this.#wish.isOn) this.#trouble = undefined;
    return done;
  }

  off(): Result<void> {
    const unwanted = this.#wish.set(false);
    if (!unwanted.ok) return unwanted;
    this.#trouble = undefined;
    const done = this.#firewall.guardOff();
    if (done.ok) this.#emit({ kind: "guard", state: "off", by: "command" });
    return done;
  }

  #put(state: "on" | "restored", by: "start" | "command" | "watch"): Result<void> {
    const done = this.#firewall.guardOn(this.#plan);
    this.#trouble = done.ok ? undefined : done.error;
    if (done.ok) this.#emit({ kind: "guard", state, by });
    else this.#emit({ kind: "firewall-error", message: done.error.message });
    return done;
  }

  #check(): void {
    if (!this.#wish.isOn) return;
    const state = this.state;
    this.#trouble = state.ok ? undefined : state.error;
    if (!state.ok) this.#emit({ kind: "firewall-error", message: state.error.message });
    else if (state.value !== "on") this.#put("restored", "watch");
  }
}
