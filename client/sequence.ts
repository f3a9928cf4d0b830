import type { Port, TimeStep, UnixMillis } from "../shared/brand.ts";
import { TockError } from "../shared/errors.ts";
import { KeySchedule } from "../shared/key-schedule.ts";
import { knockSequence } from "../shared/knock-sequence.ts";
import { millisLeft, stepAt } from "../shared/time-step.ts";
import type { Session } from "./session.ts";

/** The knock sequence of one time step. */
export interface Sequence {
  readonly ports: readonly Port[];
  readonly step: TimeStep;
  /** Milliseconds until the next step begins. The server takes the sequence for a while longer, by its skew window. */
  readonly millisLeft: number;
  readonly transport: "tcp" | "udp";
}

/** Of the secret that the server holds, as far as the client knows. */
export function sequenceAt(session: Session, now: UnixMillis): Sequence {
  const { name, info } = session.profile;
  if (info.knock === undefined) {
    const hint = `tock open ${name} is better in every way; to knock too: knock = true for the user on the server, then a new link`;
    throw new TockError("refused", `this device may not knock at ${name}`, hint);
  }
  const { current, next, enrolling } = session.keys;
  const isNext = next !== undefined && (next.acknowledged || enrolling);
  const schedule = new KeySchedule(isNext ? next.secret : current, info.serverId);
  const step = stepAt(now);
  const ports = knockSequence(info.knock, (block) => schedule.derive("knock", step, block));
  return { ports, step, millisLeft: millisLeft(now), transport: info.knock.transport };
}
