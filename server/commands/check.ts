import type { Command } from "commander";
import { loadSettings } from "../config/load.ts";
import { ConfigMistake, formatPath } from "../config/mistake.ts";
import { lastGoodFile, settingsToStart } from "../last-good.ts";
import { Failures, json, type Ui } from "../ui.ts";
import { unreadableByDaemon } from "../daemon-eyes.ts";
import { type Context, configFile } from "./context.ts";

/** `tockd check`: every mistake of the configuration, each with its line. */
export function addCheck(program: Command, { ui }: Context): void {
  program
    .command("check")
    .description("check the configuration and report every mistake in it")
    .option("--json", "print the mistakes as JSON")
    .addHelpText(
      "after",
      "\nRoot looks as the daemon's user too.\n\nExit codes: 0 no mistakes, 1 the file cannot be read, also where that is the daemon's user alone,\n2 mistakes. A daemon that is started meanwhile goes by the last good configuration, where there is one.\n\nExample:\n  tockd check && tockd reload\n",
    )
    .action((flags: { readonly json?: boolean }, command: Command) => {
      const file = configFile(command);
      const settings = loadSettings(file);
      const barred = settings.ok ? unreadableByDaemon(file, settings.value) : undefined;
      const mistakes = settings.ok ? (barred === undefined ? [] : [barred]) : settings.error;
      if (flags.json) ui.out(json(mistakes.map(plain)));
      if (!settings.ok) noteStandIn(file, ui);
      if (!settings.ok || barred !== undefined) throw new Failures(mistakes);
      if (flags.json) return;
      const { services, users } = settings.value;
      ui.out(`${file}: no mistakes; ${count(services.length, "service")}, ${count(users.length, "user")}\n`);
    });
}

/** What a daemon goes by that is started now, if there is such a thing. */
function noteStandIn(file: string, ui: Ui): void {
  const start = settingsToStart(file);
  if (!start.ok) return;
  const path = lastGoodFile(start.value.settings.server.state);
  ui.note(`a daemon that is started now goes by the last good configuration, ${path}\n`);
}

function plain(error: Error & { readonly hint?: string | undefined }): Record<string, unknown> {
  const { message, hint } = error;
  if (!(error instanceof ConfigMistake)) return { message, hint };
  const { file, position, path, detail } = error;
  return { file, ...position, key: formatPath(path), message: detail, hint };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
