#!/usr/bin/env node
import { quote } from "../shared/brand.ts";
import { TockError } from "../shared/errors.ts";
import { VERSION } from "../shared/version.ts";
import { nearest } from "./args.ts";
import { COMMANDS } from "./command-list.ts";
import { EXIT, exitCodeOf, Ui, usage } from "./ui.ts";

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === "--version" || name === "-V") {
    new Ui().text(VERSION);
    return EXIT.ok;
  }
  if (name === undefined || name === "--help" || name === "-h" || name === "help") return help(rest[0]);
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) throw unknownCommand(name);
  return (await load()).command.main(rest);
}

async function help(name: string | undefined): Promise<number> {
  const { commandHelp, programHelp } = await import("./help.ts");
  if (name === undefined) {
    const loaded = await Promise.all(Object.values(COMMANDS).map((load) => load()));
    new Ui().text(programHelp(loaded.map(({ command }) => command)));
    return EXIT.ok;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) throw unknownCommand(name);
  new Ui().text(commandHelp((await load()).command));
  return EXIT.ok;
}

function unknownCommand(name: string): TockError {
  if (name.startsWith("-"))
    return usage(`unknown option ${quote(name)}`, "options follow the command; see tock --help");
  const near = nearest(name, Object.keys(COMMANDS));
  return usage(
    `unknown command ${quote(name)}`,
    near === undefined ? "tock --help lists the commands" : `did you mean tock ${near}?`,
  );
}

/** The one place where what went wrong becomes words and an exit code. */
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const json = process.argv.includes("--json");
  const known = error instanceof TockError ? error : unexpected(error);
  new Ui({ json }).error(known);
  process.exitCode = exitCodeOf(known);
}

/** Trouble with files or the network is an error like any other; anything else is a bug, and TOCK_DEBUG shows where. */
function unexpected(error: unknown): TockError {
  if (error instanceof Error && "syscall" in error) return new TockError("io", error.message);
  if (process.env["TOCK_DEBUG"] !== undefined && error instanceof Error)
    process.stderr.write(`${error.stack}\n`);
  const message = error instanceof Error ? error.message : String(error);
  return new TockError("io", `unexpected: ${message}`, "this is a bug; TOCK_DEBUG=1 shows where it happened");
}
