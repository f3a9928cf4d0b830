import { ask } from "../../client/ask.ts";
import { rotate } from "../../client/rotation.ts";
import { type Manner, Session } from "../../client/session.ts";
import type { ServiceName } from "../../shared/brand.ts";

/**
 * `rotate-main.ts PROFILE COUNT`: rotates a profile so many times in a row, as `tock rotate` does it but in one process
 * and with little patience, and opens ssh in the end. Prints a line for each.
 */
const [, , name = "", count = "0"] = process.argv;
const schedule = [0, 20, 45, 75, 110, 150, 200, 260, 330, 410];
const timing = { schedule, timeout: 500, grace: 50, graceAfterNo: 50 };
const manner: Manner = { form: "spa", timing, replies: true };

async function attempt(what: "rotate" | "open"): Promise<string> {
  const session = await Session.open(name);
  const targets = await session.targets(4);
  const outcome =
    what === "rotate"
      ? await rotate(session, targets, manner)
      : await ask(session, { type: "open", service: "ssh" as ServiceName }, targets, manner);
  return outcome.best?.reply.result ?? "silence";
}

for (let done = 0; done < Number(count); ) {
  const result = await attempt("rotate");
  process.stdout.write(`rotate ${result}\n`);
  if (result === "pong") done++;
}
for (let tries = 0; tries < 5; tries++) {
  const result = await attempt("open");
  process.stdout.write(`open ${result}\n`);
  if (result === "opened") break;
}
