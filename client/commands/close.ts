import type { Options } from "../args.ts";
import { ask, rotateWhenDue } from "../ask.ts";
import { defineCommand } from "../command.ts";
import { mannerOf, SENDING } from "../options.ts";
import { failure, isDone, seenFrom, targetsJson, tellFailure, warnOfSilent } from "../report.ts";
import { Session } from "../session.ts";
import { EXIT } from "../ui.ts";
import { address, family, serviceNamed } from "../values.ts";

const OPTIONS = {
  allow: { value: "address", help: "close it for this address, not the one that the packet comes from" },
  ...SENDING,
} as const satisfies Options;

export const command = defineCommand({
  name: "close",
  summary: "shut a service again before its time is over",
  words: ["<profile>", "[service]"],
  options: OPTIONS,
  notes: ["Connections that are established go on."],
  examples: [["tock close myserver", "shut the first service"]],
  async run({ given, words }, ui) {
    const allow = address("allow", given.allow);
    const only = family(given);
    const session = await Session.open(words[0] ?? "", given);
    const { name, info } = session.profile;
    const { name: service } = serviceNamed(info, words[1]);
    const manner = mannerOf(session, given);
    const targets = await session.targets(only);
    const outcome = await ask(session, { type: "close", service, allow }, targets, manner);
    const facts = { profile: name, service, targets: targetsJson(outcome) };
    if (!manner.replies && outcome.deliveries.some(({ state }) => state === "silent")) {
      ui.line(`sent to ${name}, not confirmed`);
      ui.data({ ok: true, result: "sent", ...facts });
      return EXIT.unconfirmed;
    }
    if (!isDone(outcome)) return tellFailure(ui, failure(outcome, session), facts);
    ui.success(`closed ${service} on ${name}, to ${seenFrom(outcome)}`);
    ui.data({ ok: true, result: "closed", ...facts });
    warnOfSilent(ui, outcome);
    await rotateWhenDue(session, outcome, targets, manner);
    return EXIT.ok;
  },
});
