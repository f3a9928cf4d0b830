import type { TockError } from "../shared/errors.ts";
import type { Result } from "../shared/result.ts";
import type { Methods } from "./admin/methods.ts";
import type { Settings } from "./config/settings.ts";
import type { AuditEvent } from "./core/event.ts";
import type { DataPath } from "./data-path.ts";
import type { GuardKeeper } from "./guard-keeper.ts";
import type { Start } from "./last-good.ts";
import type { OpenGrants } from "./open-grants.ts";
import { guardPlanOf, systemNow } from "./plans.ts";
import { adviceOn, changesBetween, needsRestart } from "./reload.ts";
import { endUnwanted, type UnwantedParts } from "./unwanted.ts";

/** The configuration: what is taken from it at the start, and how to take more. */
export interface Source extends Start {
  /** Reads it once more. */
  readonly reread: () => Result<Settings, readonly TockError[]>;
  /** Keeps what was taken from it, for a start at which it has a mistake. */
  readonly keep: (settings: Settings) => void;
}

/** What changed, or all that is wrong. */
export type Reloaded = Methods["reload"]["value"];

export interface ReloaderParts {
  readonly source: Source;
  readonly path: DataPath;
  readonly guard: GuardKeeper;
  readonly grants: OpenGrants;
  readonly settings: () => Settings;
  /** The settings from now on. */
  readonly take: (settings: Settings) => void;
  readonly emit: (event: AuditEvent) => void;
}

/**
 * Takes a new configuration while packets come in. What takes time, or may fail, is done beside what is in use; then
 * everything changes between two packets. Where something is wrong nothing changes.
 */
export class Reloader {
  readonly #parts: ReloaderParts;
  #count = 0;
  #isTaken: boolean;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: ReloaderParts) {
    this.#parts = parts;
    this.#isTaken = parts.source.mistakes.length === 0;
  }

  /** What is wrong with the file as long as it could not be taken, for an event. */
  get mistakes(): { readonly mistakes?: readonly string[] } {
    return this.#isTaken ? {} : { mistakes: this.#parts.source.mistakes.map(({ message }) => message) };
  }

  /** Keeps what was taken from the file, for a start at which that has a mistake; what stood in for it is kept already. */
  keep(): void {
    if (!this.#isTaken) return;
    this.#parts.source.keep(this.#parts.settings());
  }

  /** How often it was done. */
  get count(): number {
    return this.#count;
  }

  /** One at a time. */
  reload(): Promise<Reloaded> {
    const done = this.#last.then(() => this.#reload());
    // Whoever asked is told of an exception; the next reload is another one.
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #reload(): Promise<Reloaded> {
    const { source, path, guard, grants, settings, take, emit } = this.#parts;
    const read = source.reread();
    if (!read.ok) return this.#refuse(read.error);
    const before = settings();
    const after = read.value;
    const changes = changesBetween(before, after);
    const restart = needsRestart(changes);
    if (restart !== undefined) return this.#refuse([restart]);
    const table = await path.prepare(after, changes);
    const capture = path.openCapture(after, changes);
    if (!capture.ok) return this.#refuse([capture.error]);
    const guarded = guard.replan(guardPlanOf(after));
    const changed = guarded.ok ? path.change(after, table, capture.value) : guarded;
    if (!changed.ok) {
      if (guarded.ok) guard.replan(guardPlanOf(before));
      capture.value?.close();
      return this.#refuse([changed.error]);
    }
    take(after);
    this.#isTaken = true;
    const device: UnwantedParts["device"] = (id) => path.devices.get(id);
    endUnwanted({ grants, device, emit }, after, systemNow(), "reload");
    this.#count++;
    emit({ kind: "reloaded", changed: changes.names });
    this.keep();
    return { changed: changes.names, mistakes: [], advice: adviceOn(before, after) };
  }

  #refuse(errors: readonly TockError[]): Reloaded {
    this.#parts.emit({ kind: "reload-failed", mistakes: errors.map(({ message }) => message) });
    return {
      changed: [],
      advice: [],
      mistakes: errors.map(({ code, message, hint }) => ({ code, message, hint })),
    };
  }
}
