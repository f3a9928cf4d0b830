import { TockError } from "../shared/errors.ts";
import {
  clockError,
  failure,
  isDone,
  seenFrom,
  targetsJson,
  tellFailure,
  warnOfClock,
  warnOfSilent,
} from "./report.ts";
import type { Target } from "./send-spa.ts";
import { portsOf, type Service, tcpPort } from "./service-port.ts";
import type { Manner, Outcome, Session } from "./session.ts";
import { EXIT, type Ui } from "./ui.ts";

/** What `tock open` asked for, and of whom. */
export interface Asked {
  readonly session: Session;
  readonly service: Service;
  readonly targets: readonly Target[];
  readonly manner: Manner;
}

function facts({ session, service }: Asked, outcome: Outcome): object {
  const { name } = session.profile;
  return { profile: name, service: service.name, ports: portsOf(service), targets: targetsJson(outcome) };
}

function nameOf({ session, service }: Asked): string {
  return `${service.name} (${portsOf(service)}) on ${session.profile.name}`;
}

/** The server says that it is open. */
export function tellOpened(asked: Asked, outcome: Outcome, ui: Ui): number {
  const { lifetime } = outcome.best?.reply ?? {};
  const error = clockError(outcome);
  const time = lifetime === undefined ? "" : ` for ${lifetime} s`;
  ui.success(`opened ${nameOf(asked)}${time}, to ${seenFrom(outcome)}`);
  const told = { lifetime: lifetime ?? null, clockError: error ?? null };
  ui.data({ ok: true, result: "opened", ...facts(asked, outcome), ...told });
  warnOfSilent(ui, outcome);
  warnOfClock(ui, error);
  return EXIT.ok;
}

/** Nothing says that it is open: it was refused, or nobody answered, or nobody was asked to. */
export function tellUnopened(asked: Asked, outcome: Outcome, ui: Ui): number {
  const { session, manner } = asked;
  if (manner.replies || outcome.deliveries.every(({ state }) => state === "unsent")) {
    return tellFailure(ui, failure(outcome, session), facts(asked, outcome));
  }
  ui.line(`sent to ${session.profile.name}, not confirmed`);
  ui.data({ ok: true, result: "sent", ...facts(asked, outcome) });
  return EXIT.unconfirmed;
}

/** What the service's own port said: the address that took a connection, or why none did. */
export function tellWatched(asked: Asked, outcome: Outcome, seen: Watched, ui: Ui): number {
  const port = tcpPort(asked.service) ?? 0;
  if (seen.open) {
    if (isDone(outcome)) return tellOpened(asked, outcome, ui);
    ui.success(`opened ${nameOf(asked)}: ${seen.address} port ${port} takes connections`);
    ui.data({ ok: true, result: "opened", ...facts(asked, outcome), lifetime: null, clockError: null });
    return EXIT.ok;
  }
  const hint = "is the service running, and does another firewall stand in the way?";
  const error = isDone(outcome)
    ? new TockError("io", `opened, but tcp/${port} takes no connection: ${seen.reason}`, hint)
    : new TockError(
        "no-reply",
        `sent, but tcp/${port} stays shut: ${seen.reason}`,
        failure(outcome, asked.session).hint,
      );
  return tellFailure(ui, error, facts(asked, outcome));
}

export type Watched =
  | { readonly open: true; readonly address: string }
  | { readonly open: false; readonly reason: string };
