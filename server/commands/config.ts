import type { Command } from "commander";
import { formatSettings, settingsDocument } from "../config/format-settings.ts";
import { json } from "../ui.ts";
import { type Context, settingsOf } from "./context.ts";

/** `tockd config`: what is in effect, every default written out. Secrets are in the state folder and not part of it. */
export function addConfig(program: Command, { ui }: Context): void {
  program
    .command("config")
    .description("print the configuration in effect, with every default, as TOML")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  tockd config | grep max_ttl\n  tockd config --json | jq .services\n",
    )
    .action((flags: { readonly json?: boolean }, command: Command) => {
      const settings = settingsOf(command);
      ui.out(flags.json ? json(settingsDocument(settings)) : formatSettings(settings));
    });
}
