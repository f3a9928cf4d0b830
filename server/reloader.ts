import type { TockError } from "../shared/errors.ts";
import type { Result } from "../shared/result.ts";
import type { Methods } from "./admin/methods.ts";
import type { Settings } from "./config/settings.ts";
import type { AuditEvent } from "./core/event.ts";
import type { DataPath } from "./data-path.ts";
import type { GuardKeeper } from "./guard-keeper.ts";
import type { OpenGrants } from "./open-grants.ts";
import { guardPlanOf, systemNow } from "./plans.ts";
import { adviceOn, changesBetween, needsRestart } from "./reload.ts";
import { endUnwanted, type UnwantedParts } from "./unwanted.ts";

/** Reads the configuration once more. */
export type Reread = () => Result<Settings, readonly TockError[]>;

/** What changed, or all that is wrong. */
export type Reloaded = Methods["reload"]["value"];

export interface ReloaderParts {
  readonly reread: Reread;
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
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: ReloaderParts) {
    this.#parts = parts;
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
    const { reread, path, guard, grants, settings, take, emit } = this.#parts;
    const read = reread();
    if (!read.ok) return this.#refuse(read.error);
    const before = settings();
    const after = read.value;
    const changes = changesBetween(before, after);
    const restart = needsRestart(changes);
    if (restart !== undefined) return this.#refuse([restart]);
    const table = await path.prepare(after, changes);
    const source = path.openCapture(after, changes);
    if (!source.ok) return this.#refuse([source.error]);
    const guarded = guard.replan(guardPlanOf(after));
    const changed = guarded.ok ? path.change(after, table, source.value) : guarded;
    if (!changed.ok) {
      if (guarded.ok) guard.replan(guardPlanOf(before));
      source.value?.close();
      return this.#refuse([changed.error]);
    }
    take(after);
    const device: UnwantedParts["device"] = (id) => path.devices.get(id);
    endUnwanted({ grants, device, emit }, after, systemNow(), "reload");
    this.#count++;
    emit({ kind: "reloaded", changed: changes.names });
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
