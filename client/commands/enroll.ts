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
import { Replacement } from "../replace-profile.ts";
import { clockError, failure, isDone, targetsJson, warnOfClock } from "../report.ts";
import { type Outcome, Session } from "../session.ts";
import { EXIT, exitCodeOf, type Ui } from "../ui.ts";
import { family } from "../values.ts";

const OPTIONS = {
  name: { value: "profile", help: "what to call it; otherwise the name that the server gives itself" },
  replace: { help: "take the place of the profile of that name, which stays until the new one is enrolled" },
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
    ["tock enroll - --replace", "a new link for a server that there is a profile of"],
    ["wl-paste | tock enroll - --name home", "take it from the clipboard, and call the profile home"],
  ],
  async run({ given, words }, ui) {
    const only = family(given);
    const enrolment = await readEnrolment(words[0] ?? "", ui);
    const name = given.name ?? enrolment.server;
    const old = given.replace === true ? Replacement.of(name, enrolment) : undefined;
    await old?.prepare(enrolment, given);
    const session = await makeProfile(enrolment, old?.draft ?? name, given);
    const outcome = enrolment.isStatic
      ? undefined
      : await ask(session, { type: "ping" }, await session.targets(only), mannerOf(session, given));
    if (outcome === undefined || isDone(outcome)) {
      const wasSealed = (await old?.finish()) === true;
      if (wasSealed && given.passphrase !== true && given.keyring !== true)
        ui.warn(`the old profile was sealed, and this one is not: tock protect ${name}`);
      return tellEnrolled(session, { name, was: old?.was }, outcome, ui);
    }
    if (outcome.best === undefined) return tellUnfinished(session, outcome, old, ui);
    return refused(session, outcome, old, ui);
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

function facts(session: Session, outcome: Outcome | undefined, name = session.profile.name): object {
  const { info } = session.profile;
  const services = info.services.map((service) => service.name);
  const targets = outcome === undefined ? [] : targetsJson(outcome);
  return { profile: name, server: info.server, device: info.device, services, targets };
}

function tellEnrolled(
  session: Session,
  { name, was }: Pick<Replacement, "name" | "was">,
  outcome: Outcome | undefined,
  ui: Ui,
): number {
  const { info } = session.profile;
  const before = was === undefined || was === info.device ? "" : ` (was ${was})`;
  ui.success(`enrolled ${info.device} at ${info.server}, as profile ${name}${before}`);
  ui.line(`services: ${info.services.map((service) => service.name).join(", ")}`);
  ui.line(`try: tock open ${name}`);
  const result = outcome === undefined ? "static" : "rotated";
  ui.data({ ok: true, result, ...facts(session, outcome, name) });
  if (outcome !== undefined) warnOfClock(ui, clockError(outcome));
  return EXIT.ok;
}

function stays(old: Replacement | undefined, then = ""): string {
  if (old === undefined) return "";
  const aside = old.aside === undefined ? "" : `; what an earlier link began is profile ${old.aside}`;
  return `. Profile ${old.name} stays as it was${aside}${then}`;
}

/** The profile stays: its first use ends the enrolment. */
function tellUnfinished(session: Session, outcome: Outcome, old: Replacement | undefined, ui: Ui): number {
  const { name, info } = session.profile;
  const error = failure(outcome, session);
  const message = info.replies ? error.message : `sent, but ${name} never answers, so nothing confirms it`;
  const hint = `profile ${name} is kept, and its first use ends the enrolment; until then the link stays a secret${stays(old, "; the same command once more puts the new one in its place (--replace)")}`;
  const unfinished = new TockError(error.code, `enrolment not finished: ${message}`, hint);
  ui.error(unfinished, facts(session, outcome));
  return exitCodeOf(unfinished);
}

/** The server knows the link and says no. A profile that can do nothing is not kept. */
async function refused(
  session: Session,
  outcome: Outcome,
  old: Replacement | undefined,
  ui: Ui,
): Promise<number> {
  const { name, info } = session.profile;
  if (session.keys.enrolling && session.keys.next?.acknowledged !== true) await session.store.remove(name);
  const hint =
    "each link works once: if you have not used it before, somebody else may have. Tell the administrator, who can " +
    `remove ${info.device} and make a new link${stays(old)}`;
  const result = outcome.best?.reply.result;
  const error = new TockError(
    "refused",
    `the server refused this link (${result === "expired" ? "used before, or expired" : (result ?? "")})`,
    hint,
  );
  ui.error(error, facts(session, outcome));
  return exitCodeOf(error);
}
