import { CommanderError } from "commander";
import { TockError } from "../shared/errors.ts";

/** Where a command's words go. Results to `out`, everything else to `note`, so that results can be piped. */
export interface Ui {
  out(text: string): void;
  note(text: string): void;
  /** Columns of the terminal that `out` is, or undefined where it is none. */
  readonly columns: number | undefined;
  readonly colour: boolean;
}

/** 0: done. 1: could not be done. 2: the command line or the configuration is wrong. */
export type ExitCode = 0 | 1 | 2;

/** Several expected failures at once, such as every mistake of a configuration file. */
export class Failures extends Error {
  readonly errors: readonly TockError[];

  constructor(errors: readonly TockError[]) {
    super(errors.map(({ message }) => message).join("\n"));
    this.errors = errors;
  }
}

/** Prints what a command threw and gives the exit code for it. What is no expected failure is thrown again: a bug. */
export function report(error: unknown, ui: Ui): ExitCode {
  if (error instanceof CommanderError) return reportUsage(error, ui);
  const failures = error instanceof Failures ? error.errors : [error];
  let code: ExitCode = 1;
  for (const failure of failures) {
    if (!(failure instanceof TockError)) throw error;
    printError(failure, ui);
    if (failure.code === "usage" || failure.code === "config" || failure.code === "invalid") code = 2;
  }
  return code;
}

export function printError({ message, hint }: TockError, ui: Ui): void {
  ui.note(`tock: error: ${message}\n`);
  if (hint !== undefined) ui.note(`tock: hint: ${hint}\n`);
}

/** Help and version were asked for, or the words of the call are off: then the parser's message, in this program's form. */
function reportUsage(error: CommanderError, ui: Ui): ExitCode {
  if (error.exitCode === 0) return 0;
  if (error.code === "commander.help") return 2;
  const [first = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
  const message = first.replace(/\. Expected/, ": expected").replace(/\.$/, "");
  const meant = /^\(Did you mean (.*)\?\)$/.exec(rest.join(" "))?.[1];
  const hint = meant === undefined ? "tockd --help shows the commands and options" : `did you mean ${meant}?`;
  printError(new TockError("usage", message, hint), ui);
  return 2;
}

/** Rows in columns, two spaces apart; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return `${rows.map(line).join("\n")}\n`;
}

export function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
