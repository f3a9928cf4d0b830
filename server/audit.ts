import { Address } from "../shared/address.ts";
import { userOf } from "../shared/brand.ts";
import { type AuditEvent, isAlarm } from "./core/event.ts";
import type { Log } from "./log.ts";
import { Throttle } from "./throttle.ts";

/** An event as it is written down: the user beside the device, and how many of its like were held back before it. */
export type AuditRecord = Readonly<Record<string, unknown>> & { readonly kind: AuditEvent["kind"] };

/** What else is to be done with an event: the audit trail, hooks, figures. It must not throw. */
export type Listener = (event: AuditEvent, record: AuditRecord) => void;

/**
 * Where every event goes: a line of the log each, and to whoever listens. What strangers can repeat is held back and
 * counted.
 */
export class Audit {
  readonly #log: Log;
  readonly #throttle = new Throttle();
  readonly #listeners = new Set<Listener>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Gives the way to stop listening. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A function of its own, to be handed around. */
  readonly emit = (event: AuditEvent): void => {
    const held = this.#throttle.pass(event, performance.now());
    if (held === undefined) return;
    const { kind } = event;
    const line = lineOf(event, held);
    if (isAlarm(event)) this.#log.warn(line, kind);
    else this.#log.info(line, kind);
    const record = { kind, ...line };
    for (const listener of this.#listeners) listener(event, record);
  };
}

/** What a line says beside its kind. Addresses are texts here already: they are written down more than once. */
function lineOf(event: AuditEvent, held: number): Record<string, unknown> {
  const line: Record<string, unknown> = {};
  if ("device" in event && event.device !== undefined) line["user"] = userOf(event.device);
  const fields = event as Readonly<Record<string, unknown>>;
  for (const name in fields) {
    if (name === "kind") continue;
    const value = fields[name];
    line[name] = value instanceof Address ? value.text : value;
  }
  if (held > 0) line["held"] = held;
  return line;
}
