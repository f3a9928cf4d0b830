import type { Command } from "commander";
import { makeProgram } from "../../server/main.ts";
import { VERSION } from "../../shared/version.ts";
import { bold, example, heading, item, paragraph, subheading, text, title, usage } from "./roff.ts";

/** tockd(8), from what the program knows of its commands. */
export function tockdPage(): string {
  const program = programOf();
  return [
    title("tockd", 8, VERSION, "System Administration"),
    heading("NAME"),
    `${text("tockd - the daemon that keeps ports shut until the right device asks")}\n`,
    heading("SYNOPSIS"),
    `${usage("tockd <command> [options]")} \\&...\n`,
    heading("DESCRIPTION"),
    `${text(
      "tockd guards ports with the machine's packet filter: to the network they look as if nothing were there. A packet of an " +
        "enrolled device, made by tock(1) or a web page, opens one of them for a while for its sender; the kernel itself " +
        "shuts it again. Nothing listens: packets are read before the firewall drops them. The configuration is tockd.toml(5).",
    )}\n`,
    heading("OPTIONS OF EVERY COMMAND"),
    ...optionsOf(program),
    heading("COMMANDS"),
    ...program.commands.flatMap((command) => pagesOf(command, ["tockd"])),
    heading("EXIT STATUS"),
    item("0", "done"),
    item("1", "could not be done: the message says why"),
    item("2", "the command line or the configuration is wrong"),
    heading("FILES"),
    item(text("/etc/tock/tockd.toml"), "the configuration; it holds no secret"),
    item(
      text("/var/lib/tock"),
      text("devices with their secrets, the server's key and the replay journal; mode 0700, files 0600"),
    ),
    item(text("/run/tock/tockd.sock"), "how the commands reach the running daemon"),
    heading("SEE ALSO"),
    `${bold("tock")}(1), ${bold("tockd.toml")}(5), ${bold("iptables")}(8), ${bold("ipset")}(8), ${bold("nft")}(8)\n`,
  ].join("");
}

/** The program with its commands, none of which is run. */
export function programOf(): Command {
  const ui = { out: () => undefined, note: () => undefined, columns: undefined, colour: false };
  const nothing = (): never => {
    throw new Error("a manual page runs no command");
  };
  return makeProgram({
    ui,
    now: nothing,
    random: nothing,
    hostname: "localhost",
    person: undefined,
    exitWith: nothing,
  });
}

function pagesOf(command: Command, before: readonly string[]): string[] {
  const words = [...before, command.name()];
  if (command.commands.length > 0) return command.commands.flatMap((child) => pagesOf(child, words));
  const operands = command.registeredArguments.map(
    (argument) =>
      `${argument.required ? "<" : "["}${argument.name()}${argument.variadic ? "..." : ""}${argument.required ? ">" : "]"}`,
  );
  const description = command.description();
  return [
    subheading([...words, ...operands].join(" ")),
    `${text(`${description.slice(0, 1).toUpperCase()}${description.slice(1)}.`)}\n`,
    ...optionsOf(command),
    ...helpAfter(command),
  ];
}

/** What `--help` says below the options: indented lines stand as they are, the rest is running text. */
function helpAfter(command: Command): string[] {
  const written: string[] = [];
  command.configureOutput({ writeOut: (words) => void written.push(words) }).outputHelp();
  const [, ...after] = written;
  return after
    .join("")
    .split(/\n{2,}/)
    .flatMap((part) => {
      const lines = part.split("\n").filter((line) => line.trim() !== "");
      const isTerm = (line: string): boolean => !line.startsWith("  ");
      const running = lines.filter(isTerm).join(" ");
      const standing = lines.filter((line) => !isTerm(line)).map((line) => line.slice(2));
      return [
        ...(running === "" ? [] : [paragraph(text(running))]),
        ...(standing.length === 0 ? [] : [example(standing.join("\n"))]),
      ];
    });
}

function optionsOf(command: Command): string[] {
  return command.options.map(({ flags, description, defaultValue }) => {
    const usual = typeof defaultValue === "string" ? ` (default ${defaultValue})` : "";
    return item(usage(flags), text(`${description}${usual}`));
  });
}
