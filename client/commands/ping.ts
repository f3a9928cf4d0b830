import { TockError } from "../../shared/errors.ts";
import type { Options } from "../args.ts";
import { ask, rotateWhenDue } from "../ask.ts";
import { defineCommand } from "../command.ts";
import { mannerOf, SENDING } from "../options.ts";
import {
  clockError,
  failure,
  isDone,
  targetsJson,
  tellFailure,
  warnOfClock,
  warnOfSilent,
} from "../report.ts";
import { Session } from "../session.ts";
import { EXIT } from "../ui.ts";
import { family } from "../values.ts";

const OPTIONS = { ...SENDING } as const satisfies Options;

export const command = defineCommand({
  name: "ping",
  summary: "ask the server for a reply, and change nothing",
  words: ["<profile>"],
  options: OPTIONS,
  notes: ["It tells the round trip, the difference of the clocks, and the address that the server sees."],
  examples: [["tock ping myserver", "is it there, and does it know this device?"]],
  async run({ given, words }, ui) {
    const only = family(given);
    const session = await Session.open(words[0] ?? "", given);
    const { name, info } = session.profile;
    if (!info.replies) {
      throw new TockError(
        "refused",
        `${name} never answers, so there is nothing to wait for`,
        `tock open ${name} --wait`,
      );
    }
    const manner = mannerOf(session, given);
    const targets = await session.targets(only);
    const outcome = await ask(session, { type: "ping" }, targets, manner);
    const facts = { profile: name, targets: targetsJson(outcome) };
    if (!isDone(outcome)) return tellFailure(ui, failure(outcome, session), facts);
    const error = clockError(outcome);
    const clock = error === undefined ? "" : `, clock ${error < 0 ? "" : "+"}${error} s`;
    for (const delivery of outcome.deliveries) {
      if (delivery.state !== "answered") continue;
      const { target, roundTrip, reply } = delivery;
      ui.line(
        `${target.address.text} answered in ${roundTrip.toFixed(1)} ms${clock}, sees ${reply.source.text}`,
      );
    }
    ui.data({ ok: true, result: "pong", ...facts, clockError: error ?? null });
    warnOfSilent(ui, outcome);
    warnOfClock(ui, error);
    await rotateWhenDue(session, outcome, targets, manner);
    return EXIT.ok;
  },
});
