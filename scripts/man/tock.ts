import { COMMON } from "../../client/args.ts";
import { COMMANDS } from "../../client/command-list.ts";
import { VERSION } from "../../shared/version.ts";
import { bold, example, heading, item, paragraph, subheading, text, title, usage } from "./roff.ts";

/** tock(1), from what the program knows of its commands. */
export async function tockPage(): Promise<string> {
  const loaded = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  const commands = loaded.map(({ command }) => {
    const { name, words, rest, summary, notes, examples } = command;
    const shape = [name, "[options]", ...words, ...(rest === undefined ? [] : [rest])].join(" ");
    const options = Object.entries(command.options).map(([option, { short, value, help }]) => {
      const names = short === undefined ? `--${option}` : `-${short}, --${option}`;
      return item(usage(value === undefined ? names : `${names} <${value}>`), text(help));
    });
    return [
      subheading(`tock ${shape}`),
      `${text(`${capital(summary)}.`)}\n`,
      ...(notes ?? []).map((note) => paragraph(text(note.replace(/\s*\n\s*/g, " ")))),
      ...options,
      example(examples.map(([line, purpose]) => `${line}\n    ${purpose}`).join("\n")),
    ].join("");
  });
  const common = Object.entries(COMMON).map(([option, shape]) =>
    item(usage("short" in shape ? `-${shape.short}, --${option}` : `--${option}`), text(shape.help)),
  );
  return [
    title("tock", 1, VERSION, "User Commands"),
    heading("NAME"),
    `${text("tock - open a port that does not exist until the right device asks")}\n`,
    heading("SYNOPSIS"),
    `${usage("tock <command> [options]")} \\&...\n`,
    heading("DESCRIPTION"),
    `${text(
      "Ports that tockd(8) guards look as if nothing were there. tock sends the one packet that opens a port for a while, " +
        "for the address that it comes from, and is proof of an enrolled device. Connections made in that time go on after it.",
    )}\n`,
    heading("COMMANDS"),
    ...commands,
    heading("OPTIONS OF EVERY COMMAND"),
    ...common,
    item(usage("--version"), text("as the only argument: print the version")),
    heading("EXIT STATUS"),
    item("0", "opened, or done"),
    item("1", "failed or refused; standard error says why"),
    item("2", "the command line is wrong"),
    item("3", "sent, and nothing confirmed it"),
    heading("ENVIRONMENT"),
    item(bold("TOCK_HOME"), text("the folder that profiles are kept in, in place of the platform's own")),
    item(bold("NO_COLOR"), "print without colours"),
    heading("FILES"),
    item(
      text("~/.config/tock/profiles/*.json"),
      text(
        "One file a profile, mode 0600, with the device's secret: it is the device, and a copy of it works until the next " +
          "rotation. tock protect seals it under a passphrase or the keyring.",
      ),
    ),
    heading("SEE ALSO"),
    `${bold("ssh")}(1), ${bold("tockd")}(8), ${bold("tockd.toml")}(5)\n`,
  ].join("");
}

function capital(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}
