import type { Port, TimeStep, UnixMillis } from "../shared/brand.ts";
import { TockError } from "../shared/errors.ts";
import { KeySchedule } from "../shared/key-schedule.ts";
import { knockSequence } from "../shared/knock-sequence.ts";
import type { Secret } from "../shared/secret.ts";
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

export function sequenceAt(
  session: Session,
  now: UnixMillis,
  secret: Secret = session.keys.current,
): Sequence {
  const { name, info } = session.profile;
  if (info.knock === undefined) {
    const hint = `tock open ${name} sends an SPA packet, which is better in every way`;
    throw new TockError("refused", `this device may not knock at ${name}`, hint);
  }
  const schedule = new KeySchedule(secret, info.serverId);
  const step = stepAt(now);
  const ports = knockSequence(info.knock, (block) => schedule.derive("knock", step, block));
  return { ports, step, millisLeft: millisLeft(now), transport: info.knock.transport };
}
