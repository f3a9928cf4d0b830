import type { Command } from "commander";
import { quote, type UnixMillis, unixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { lookAtDaemon } from "../admin/client.ts";
import { parseDuration } from "../config/duration.ts";
import { parseInstant } from "../config/instant.ts";
import { isAsked } from "../event-desk.ts";
import { humanLine } from "../log.ts";
import { readTrail, verifyTrail } from "../store/audit-read.ts";
import { endWithoutReader } from "../output.ts";
import { checkStateFolder } from "../store/state-folder.ts";
import { unwrap } from "../../shared/result.ts";
import { json, type Ui } from "../ui.ts";
import { type Context, settingsInUse } from "./context.ts";
import { SOCKET_FLAG, socketOf } from "./look.ts";

interface EventFlags {
  readonly follow?: boolean;
  readonly since?: string;
  readonly user?: string;
  readonly json?: boolean;
  readonly verify?: boolean;
}

type Line = Readonly<Record<string, unknown>>;

/** `tockd events`: the audit trail, as it was and as it comes. */
export function addEvents(program: Command, context: Context): void {
  const { ui } = context;
  program
    .command("events")
    .description("the audit trail: who opened what, from where, and what went wrong")
    .option("-f, --follow", "go on with events as they come, until interrupted")
    .option("--since <time>", "only later than a date or a time ago, for example 2h or 2026-11-22")
    .option("--user <name>", "only this user's")
    .option("--json", "a line of JSON each")
    .option("--verify", "check that no line was changed or taken out")
    .option(...SOCKET_FLAG)
    .addHelpText(
      "after",
      `
Examples:
  tockd events --since 1d --user alice
  tockd events -f --json | jq .kind
  tockd events --verify             exit code 1 where the chain of hashes does not hold
`,
    )
    .action(async (flags: EventFlags, command: Command) => {
      if (flags.verify === true) return verify(flags, command, context);
      endWithoutReader();
      const query = { since: sinceFlag(flags.since, context.now()), user: flags.user };
      const print = (line: Line): void =>
        ui.out(flags.json === true ? `${JSON.stringify(line)}\n` : eventText(line));
      const interrupt = new AbortController();
      const stop = (): void => interrupt.abort();
      if (flags.follow === true)
        for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
      const told = await lookAtDaemon(
        socketOf(command),
        "events",
        { ...query, follow: flags.follow === true },
        (line) => print((line as { readonly event: Line }).event),
        flags.follow === true ? interrupt.signal : undefined,
      );
      process.off("SIGINT", stop).off("SIGTERM", stop);
      if (told.ok) return;
      if (told.error.code !== "not-found" || flags.follow === true) throw told.error;
      // Without a daemon the files tell as much.
      const { state } = settingsInUse(command, ui).server;
      unwrap(checkStateFolder(state));
      for await (const line of readTrail(state)) if (isAsked(query, line)) print(line);
    });
}

async function verify(flags: EventFlags, command: Command, context: Context): Promise<void> {
  const { state } = settingsInUse(command, context.ui).server;
  unwrap(checkStateFolder(state));
  let found = await verifyTrail(state);
  // A daemon that runs may be about to write the head, or to rotate.
  for (let attempt = 0; attempt < 3 && found.problems.length > 0; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    found = await verifyTrail(state);
  }
  const { ui } = context;
  if (flags.json === true) ui.out(json(found));
  else sayVerified(found, ui);
  if (found.problems.length > 0) context.exitWith(1);
}

function sayVerified(
  { lines, first, last, hash, problems }: Awaited<ReturnType<typeof verifyTrail>>,
  ui: Ui,
): void {
  if (problems.length > 0) {
    for (const problem of problems) ui.note(`tock: error: audit trail: ${problem}\n`);
    return;
  }
  if (lines === 0) return ui.out("the audit trail is empty\n");
  ui.out(`${lines} lines, ${first} to ${last}: none changed, none missing\nhash of the last: ${hash}\n`);
  ui.note("tock: hint: whoever can write the state folder can make a new chain: keep the hash elsewhere\n");
}

/** `2026-11-22 12:00:00 granted user=alice …` */
export function eventText(line: Line): string {
  const { at, kind, seq: _seq, prev: _prev, ...fields } = line;
  const day = String(at)
    .slice(0, 10)
    .replace(/[^\d-]/g, "?");
  // What a field is called is what the daemon wrote, or somebody who can write its folder: it does not pass for another.
  return `${day} ${humanLine(JSON.stringify({ ...fields, time: at, level: "info", msg: kind }))}\n`;
}

function sinceFlag(text: string | undefined, now: UnixMillis): number | undefined {
  if (text === undefined) return undefined;
  const span = parseDuration(text);
  const moment = span === undefined ? parseInstant(text) : unixMillis(Math.max(0, now - span * 1000));
  if (moment !== undefined) return moment;
  throw new TockError(
    "usage",
    `--since: expected a time ago or a date, got ${quote(text)}`,
    "for example 2h, or 2026-11-22",
  );
}
