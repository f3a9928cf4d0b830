import { TockError } from "../../shared/errors.ts";
import type { Options } from "../args.ts";
import { defineCommand } from "../command.ts";
import { mannerOf, SENDING } from "../options.ts";
import { failure, isDone, targetsJson, tellFailure } from "../report.ts";
import { rotate } from "../rotation.ts";
import { Session } from "../session.ts";
import { EXIT } from "../ui.ts";
import { family } from "../values.ts";

const OPTIONS = { ...SENDING } as const satisfies Options;

export const command = defineCommand({
  name: "rotate",
  summary: "agree on a new secret with the server, or end a rotation that stands open",
  words: ["<profile>"],
  options: OPTIONS,
  notes: [
    `The old secret opens nothing afterwards: a copy of the profile that somebody took before is worthless. Where
a reply is lost the rotation stands open, nothing is lost, and the next use of the profile ends it.`,
  ],
  examples: [["tock rotate myserver", "a new secret, now"]],
  async run({ given, words }, ui) {
    const only = family(given);
    const session = await Session.open(words[0] ?? "", given);
    const { name, info } = session.profile;
    if (info.isStatic) {
      const hint = "ask its administrator for a link without --static";
      throw new TockError("refused", `the secret of ${name} is static: it never rotates`, hint);
    }
    if (!info.replies && !session.keys.enrolling) {
      const hint = "its administrator makes a new link with tockd device rotate";
      throw new TockError("refused", `${name} never answers, so no rotation could be confirmed`, hint);
    }
    const manner = mannerOf(session, given);
    const outcome = await rotate(session, await session.targets(only), manner);
    const facts = { profile: name, targets: targetsJson(outcome) };
    if (!isDone(outcome)) return tellFailure(ui, failure(outcome, session), facts);
    ui.success(`rotated the secret of ${name}`);
    ui.data({ ok: true, result: "rotated", ...facts });
    return EXIT.ok;
  },
});
