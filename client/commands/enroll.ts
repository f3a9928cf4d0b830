import type { Enrolment } from "../../shared/enrolment.ts";
import { TockError } from "../../shared/errors.ts";
import type { Given, Options } from "../args.ts";
import { ask } from "../ask.ts";
import { systemClock } from "../clock.ts";
import { defineCommand } from "../command.ts";
import { readEnrolment } from "../link-input.ts";
import { mannerOf, SENDING } from "../options.ts";
import { chosenVault, PROTECTION } from "../protection.ts";
import { ProfileStore } from "../profile-store.ts";
import { clockError, failure, isDone, targetsJson, warnOfClock } from "../report.ts";
import { type Outcome, Session } from "../session.ts";
import { EXIT, exitCodeOf, type Ui } from "../ui.ts";
import { family } from "../values.ts";

const OPTIONS = {
  name: { value: "profile", help: "what to call it; otherwise the name that the server gives itself" },
  ...PROTECTION,
  ...SENDING,
} as const satisfies Options;

export const command = defineCommand({
  name: "enroll",
  summary: "make a profile from an enrolment link",
  words: ["<link>|-"],
  options: OPTIONS,
  notes: [
    `A link works once. The device uses it at once to agree on a secret of its own with the server, after which
the link opens nothing any more. Where the server cannot be reached, that happens at the first use.`,
  ],
  examples: [
    ["tock enroll -", "type or paste the link; nobody sees it"],
    ["wl-paste | tock enroll - --name home", "take it from the clipboard, and call the profile home"],
  ],
  async run({ given, words }, ui) {
    const only = family(given);
    const enrolment = await readEnrolment(words[0] ?? "", ui);
    const session = await makeProfile(enrolment, given.name ?? enrolment.server, given);
    if (enrolment.isStatic) return tellEnrolled(session, "static", undefined, ui);
    const manner = mannerOf(session, given);
    const outcome = await ask(session, { type: "ping" }, await session.targets(only), manner);
    if (isDone(outcome)) return tellEnrolled(session, "rotated", outcome, ui);
    if (outcome.best === undefined) return tellUnfinished(session, outcome, ui);
    return refused(session, outcome, ui);
  },
});

/** Stores what the link holds, or takes up the same enrolment where an earlier run was cut off. */
async function makeProfile(
  enrolment: Enrolment,
  name: string,
  given: Given<typeof PROTECTION>,
): Promise<Session> {
  const { secret, ...info } = enrolment;
  const now = systemClock.now();
  const keys = { current: secret, since: now, enrolling: !enrolment.isStatic, next: undefined };
  const store = new ProfileStore();
  if (store.has(name)) {
    const earlier = await Session.open(name, given);
    if (earlier.keys.enrolling && earlier.keys.current.equals(secret)) return earlier;
  }
  const vault = await chosenVault(name, info, given);
  const profile = { name, info, createdAt: now, keys: vault.seal(keys) };
  await store.create(profile);
  return Session.of(store, profile, vault);
}

function facts(session: Session, outcome: Outcome | undefined): object {
  const { name, info } = session.profile;
  const services = info.services.map((service) => service.name);
  const targets = outcome === undefined ? [] : targetsJson(outcome);
  return { profile: name, server: info.server, device: info.device, services, targets };
}

function tellEnrolled(
  session: Session,
  result: "static" | "rotated",
  outcome: Outcome | undefined,
  ui: Ui,
): number {
  const { name, info } = session.profile;
  ui.success(`enrolled ${info.device} at ${info.server}, as profile ${name}`);
  ui.line(`services: ${info.services.map((service) => service.name).join(", ")}`);
  ui.line(`try: tock open ${name}`);
  ui.data({ ok: true, result, ...facts(session, outcome) });
  if (outcome !== undefined) warnOfClock(ui, clockError(outcome));
  return EXIT.ok;
}

/** The profile stays: its first use ends the enrolment. */
function tellUnfinished(session: Session, outcome: Outcome, ui: Ui): number {
  const { name, info } = session.profile;
  const error = failure(outcome, session);
  const message = info.replies ? error.message : `sent, but ${name} never answers, so nothing confirms it`;
  const hint = `profile ${name} is kept, and its first use ends the enrolment; until then the link stays a secret`;
  const unfinished = new TockError(error.code, `enrolment not finished: ${message}`, hint);
  ui.error(unfinished, facts(session, outcome));
  return exitCodeOf(unfinished);
}

/** The server knows the link and says no. A profile that can do nothing is not kept. */
async function refused(session: Session, outcome: Outcome, ui: Ui): Promise<number> {
  const { name, info } = session.profile;
  if (session.keys.enrolling && session.keys.next?.acknowledged !== true) await session.store.remove(name);
  const hint =
    "each link works once: if you have not used it before, somebody else may have. Tell the administrator, who can " +
    `remove ${info.device} and make a new link`;
  const result = outcome.best?.reply.result;
  const error = new TockError(
    "refused",
    `the server refused this link (${result === "expired" ? "used before, or expired" : (result ?? "")})`,
    hint,
  );
  ui.error(error, facts(session, outcome));
  return exitCodeOf(error);
}
