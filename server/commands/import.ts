import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { isName, quote } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import type { Result } from "../../shared/result.ts";
import { importFwknop } from "../import/fwknop.ts";
import { importKnockd } from "../import/knockd.ts";
import { type Imported, type Mistake, visible } from "../import/imported.ts";
import { importedToml } from "../import/toml.ts";
import { Failures } from "../ui.ts";
import type { Context } from "./context.ts";

interface Flags {
  readonly user?: string;
  readonly name?: string;
  readonly address?: readonly string[];
}

/** `tockd import knockd|fwknop`: another program's configuration as a tockd.toml, and a list of what did not come along. */
export function addImport(program: Command, context: Context): void {
  const parent = program
    .command("import")
    .description(
      "turn the configuration of knockd or fwknop into a tockd.toml; prints it and changes nothing",
    );
  shared(parent.command("knockd <knockd.conf>"))
    .description("services and one user who may knock, of /etc/knockd.conf")
    .option("--user <name>", "the user who gets the services", "owner")
    .addHelpText("after", "\nExample:\n  tockd import knockd /etc/knockd.conf --user alice > tockd.toml\n")
    .action((file: string, flags: Flags) => {
      const user = flags.user ?? "owner";
      if (!isName(user)) {
        const message = `--user: expected 1 to 32 of a-z, 0-9, . - and _, got ${quote(user)}`;
        throw new TockError("invalid", message, "start it with a letter or digit, for example alice");
      }
      const imported = importKnockd(read(file), user);
      tell(file, imported, flags, context);
    });
  shared(parent.command("fwknop <access.conf> [fwknopd.conf]"))
    .description("services and a user for each stanza, of /etc/fwknop/access.conf")
    .addHelpText(
      "after",
      "\nExample:\n  tockd import fwknop /etc/fwknop/access.conf /etc/fwknop/fwknopd.conf > tockd.toml\n",
    )
    .action((file: string, second: string | undefined, flags: Flags) => {
      const imported = importFwknop(read(file), second === undefined ? undefined : read(second));
      tell(file, imported, flags, context);
    });
}

function shared(command: Command): Command {
  return command
    .option("--name <name>", "what people call this server; by default its host name")
    .option("--address <address...>", "where clients reach it; by default its host name");
}

function tell(
  file: string,
  imported: Result<Imported, readonly Mistake[]>,
  flags: Flags,
  context: Context,
): void {
  if (!imported.ok) {
    throw new Failures(
      imported.error.map(
        ({ line, message }) => new TockError("config", visible(`${file}:${line}: ${message}`)),
      ),
    );
  }
  const { ui, hostname } = context;
  const name = flags.name ?? hostname;
  ui.out(importedToml(file, imported.value, { name, addresses: flags.address ?? [hostname] }));
  const { notes, services } = imported.value;
  if (notes.length > 0) ui.note("not carried over, or not as it was:\n");
  for (const { line, what, why } of notes)
    ui.note(`  ${line === undefined ? "" : `line ${line}: `}${visible(`${what}: ${why}`)}\n`);
  if (services.length > 0) return;
  ui.note("tock: warning: nothing in it opens a port, so no service came of it\n");
  context.exitWith(1);
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new TockError("not-found", `cannot read ${visible(file)}: ${code}`);
  }
}
