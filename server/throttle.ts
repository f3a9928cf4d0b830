import type { AuditEvent } from "./core/event.ts";

const WINDOW = 10_000;
const BURST = 5;
const MAX_KEYS = 10_000;

/**
 * Holds back events that somebody without a key can cause over and over: a captured packet sent again, a full disk. Five of
 * a kind and device pass in ten seconds. The next of its like after these tells how many were held back; where none comes,
 * nobody tells.
 */
export class Throttle {
  readonly #seen = new Map<string, { since: number; passed: number; held: number }>();

  /** Undefined = hold it back; else how many of its like were held back before. `now` in ms. */
  pass(event: AuditEvent, now: number): number | undefined {
    const key = keyOf(event);
    if (key === undefined) return 0;
    const seen = this.#seen.get(key);
    if (seen !== undefined && Math.abs(now - seen.since) < WINDOW) {
      if (seen.passed++ < BURST) return 0;
      seen.held++;
      return undefined;
    }
    if (this.#seen.size >= MAX_KEYS) this.#seen.clear();
    this.#seen.set(key, { since: now, passed: 1, held: 0 });
    return seen?.held ?? 0;
  }
}

/** What makes events alike; undefined = never held back. */
function keyOf(event: AuditEvent): string | undefined {
  switch (event.kind) {
    case "replayed":
    case "retired-secret-used":
    case "enrolment-reused":
      return `${event.kind} ${event.device}`;
    case "refused":
      return `${event.kind} ${event.device} ${event.rule}`;
    case "firewall-error":
    case "journal-error":
    case "store-error":
      return event.kind;
    case "granted":
    case "closed":
    case "ended":
    case "started":
    case "stopped":
    case "reloaded":
    case "reload-failed":
    case "rotated":
    case "enrolled":
    case "link-opened":
    case "guard":
    case "drops":
      return undefined;
  }
}
