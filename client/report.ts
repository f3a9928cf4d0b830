import { type ErrorCode, TockError } from "../shared/errors.ts";
import type { ReplyResult } from "../shared/reply.ts";
import type { Delivery } from "./send-spa.ts";
import type { Outcome, Session } from "./session.ts";
import { exitCodeOf, type Ui } from "./ui.ts";

/** What became of a request, in words. */

/** A clock that is off by more than this is worth a word: the window is 30 seconds each side by default. */
const CLOCK_MATTERS_S = 5;

/** Seconds by which the server's clock is ahead of ours (negative: behind), as far as the reply tells. */
export function clockError(outcome: Outcome): number | undefined {
  const { best } = outcome;
  if (best?.reply.serverTime === undefined) return undefined;
  return Math.round((best.reply.serverTime - (best.receivedAt - best.roundTrip / 2)) / 100) / 10;
}

export function warnOfClock(ui: Ui, error: number | undefined): void {
  if (error === undefined || Math.abs(error) <= CLOCK_MATTERS_S) return;
  const direction = error > 0 ? "behind" : "ahead of";
  ui.warn(
    `this machine's clock is ${Math.abs(error)} s ${direction} the server's; past 30 s nothing opens any more`,
  );
}

/** Tells of the targets that did not answer while another did. */
export function warnOfSilent(ui: Ui, outcome: Outcome): void {
  for (const delivery of outcome.deliveries) {
    const address = delivery.target.address.text;
    if (delivery.state === "unsent") ui.detail(`not sent to ${address}: ${delivery.reason}`);
    if (delivery.state === "silent")
      ui.warn(`no reply from ${address}: it may be shut over IPv${delivery.target.address.family}`);
    if (delivery.state === "answered") {
      const ms = delivery.roundTrip.toFixed(1);
      ui.detail(
        `${address} answered ${delivery.reply.result} after ${ms} ms, seen from ${delivery.reply.source.text}`,
      );
    }
  }
}

/** The addresses that the server saw, each once: `192.0.2.7 and 2001:db8::7`. */
export function seenFrom(outcome: Outcome): string {
  const seen = outcome.deliveries.flatMap((delivery) =>
    delivery.state === "answered" && delivery.done ? [delivery.reply.source.text] : [],
  );
  return [...new Set(seen)].join(" and ");
}

/** Each target and what became of its packet, for `--json`. */
export function targetsJson(outcome: Outcome): object[] {
  return outcome.deliveries.map((delivery) => {
    const to = { address: delivery.target.address.text, port: delivery.target.port };
    if (delivery.state !== "answered") return { ...to, state: delivery.state };
    const { result, lifetime, source, sourcePort } = delivery.reply;
    const roundTrip = Math.round(delivery.roundTrip * 10) / 10;
    return {
      ...to,
      state: result,
      lifetime: lifetime ?? null,
      source: source.text,
      sourcePort: sourcePort ?? null,
      roundTripMs: roundTrip,
    };
  });
}

/** The error that an outcome without success is: refused, unconfirmed, or not even sent. */
export function failure(outcome: Outcome, session: Session): TockError {
  const { name, info } = session.profile;
  if (outcome.best !== undefined) return refusal(outcome.best.reply.result, name);
  const unsent = outcome.deliveries.every((delivery) => delivery.state === "unsent");
  if (unsent) {
    const reasons = outcome.deliveries.map((delivery) =>
      delivery.state === "unsent" ? delivery.reason : "",
    );
    return new TockError(
      "io",
      `cannot send to ${name}: ${[...new Set(reasons)].join("; ")}`,
      "check the network",
    );
  }
  const places = outcome.deliveries.map(describe).join(", ");
  const why = [
    "is this machine's clock right (to 30 s)",
    `does the network let udp/${info.port} through`,
    "is the address right",
    "does tockd run there",
    "is the device still enrolled",
  ];
  return new TockError("no-reply", `sent, but ${name} did not answer (${places})`, `${why.join("? ")}?`);
}

function describe(delivery: Delivery): string {
  const { address, port } = delivery.target;
  return address.family === 4 ? `${address.text}:${port}` : `[${address.text}]:${port}`;
}

function refusal(result: ReplyResult, name: string): TockError {
  const refused = (message: string, hint: string, code: ErrorCode = "refused") =>
    new TockError(code, `${name} refused: ${message}`, hint);
  switch (result) {
    case "refused":
      return refused(
        "its policy does not allow this",
        "the server's log names the rule; ask its administrator",
      );
    case "second-factor":
      return refused(
        "a second-factor code is needed, or it was wrong or used before",
        "give a fresh code with --otp or --otp-fd, or wait for the next one",
      );
    case "expired":
      return refused(
        "this device or its secret has expired",
        "ask its administrator for a new link; a copy of a profile ends when the other one rotates",
      );
    case "rotate-first":
      return refused("the secret must rotate first", `tock rotate ${name}`);
    case "firewall-error":
      return refused("its firewall failed, and nothing was opened", "the server's log says why", "firewall");
    case "opened":
    case "closed":
    case "rotated":
    case "pong":
      return refused(
        `it answered "${result}" to a request of another kind`,
        "are client and server of one version?",
      );
  }
}

/** Whether a reply says that what was asked for was done, over one address at least. */
export function isDone(outcome: Outcome): boolean {
  return outcome.best?.done === true;
}

/** Prints a failure, with `--json` together with what is known, and gives its exit code. */
export function tellFailure(ui: Ui, error: TockError, facts: object): number {
  ui.error(error, facts);
  return exitCodeOf(error);
}
