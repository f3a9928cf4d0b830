import { userOf } from "../shared/brand.ts";
import { type AuditEvent, isAlarm } from "./core/event.ts";
import type { Log } from "./log.ts";
import { Throttle } from "./throttle.ts";

/** Where every event goes: a line of the log each, and what strangers can repeat is held back and counted. */
export class Audit {
  readonly #log: Log;
  readonly #throttle = new Throttle();

  constructor(log: Log) {
    this.#log = log;
  }

  /** A function of its own, to be handed around. */
  readonly emit = (event: AuditEvent): void => {
    const held = this.#throttle.pass(event, performance.now());
    if (held === undefined) return;
    const { kind, ...fields } = event;
    const user = "device" in event && event.device !== undefined ? { user: userOf(event.device) } : {};
    const line = { ...user, ...fields, ...(held > 0 ? { held } : {}) };
    if (isAlarm(event)) this.#log.warn(line, kind);
    else this.#log.info(line, kind);
  };
}
