import { fstatSync, writeSync } from "node:fs";
import { styleText } from "node:util";
import { TockError } from "../shared/errors.ts";

/**
 * What the commands say, and where. The rules, stated once:
 * - results go to standard output, everything else to standard error
 * - `tock: error: …` and `tock: hint: …`: lower case, no full stop, never a secret, never a stack trace
 * - with `--json` standard output carries JSON and nothing else, an error included
 * - colour only on a terminal, and never where NO_COLOR says no
 */
export class Ui {
  readonly json: boolean;
  readonly verbose: boolean;

  constructor(modes: { json?: boolean | undefined; verbose?: boolean | undefined } = {}) {
    this.json = modes.json === true;
    this.verbose = modes.verbose === true;
  }

  /** One line of the result. Nothing with `--json`. */
  line(text: string): void {
    if (!this.json) write(1, text);
  }

  /** Text that is the result whatever the mode, such as a help page. */
  text(text: string): void {
    write(1, text);
  }

  /** The result as JSON, on one line. Nothing without `--json`. */
  data(value: object): void {
    if (this.json) write(1, JSON.stringify(value));
  }

  /** Something that worked, for a person's eye. */
  success(text: string): void {
    this.line(this.paint("green", text, 1));
  }

  /** What happens behind the result: only with `--verbose`. */
  detail(text: string): void {
    if (this.verbose) write(2, `tock: ${text}`);
  }

  /** Something that the user should know though it is no failure. */
  warn(text: string): void {
    write(2, `tock: ${this.paint("yellow", "warning:", 2)} ${text}`);
  }

  hint(text: string): void {
    write(2, `tock: ${this.paint("cyan", "hint:", 2)} ${text}`);
  }

  /** An error that is part of a result, on standard error alone. */
  trouble(error: TockError): void {
    write(2, `tock: ${this.paint("red", "error:", 2)} ${error.message}`);
    if (error.hint !== undefined) this.hint(error.hint);
  }

  /** `facts` go into the JSON beside the error. */
  error(error: TockError, facts: object = {}): void {
    const { code, message, hint = null } = error;
    this.data({ ok: false, error: { code, message, hint }, ...facts });
    this.trouble(error);
  }

  paint(style: "green" | "red" | "yellow" | "cyan" | "bold" | "dim", text: string, fd: 1 | 2): string {
    return isColourful(fd) ? styleText(style, text, { validateStream: false }) : text;
  }
}

/** Whether a descriptor is a terminal that takes colours. What is no device at all is told apart without asking the stream. */
function isColourful(fd: 1 | 2): boolean {
  if (process.env["NO_COLOR"] !== undefined && process.env["NO_COLOR"] !== "") return false;
  if (!fstatSync(fd).isCharacterDevice()) return false;
  const stream = fd === 1 ? process.stdout : process.stderr;
  return stream.isTTY && stream.hasColors();
}

/**
 * Straight to the descriptor: it is out before the process ends, and no stream has to be set up first.
 * A reader that went away (`tock list | head -1`) is no error of ours.
 */
function write(fd: 1 | 2, text: string): void {
  let bytes = Buffer.from(`${text}\n`);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "EAGAIN") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (code === "EPIPE") return;
      else throw error;
    }
  }
}

/** The exit code that an error ends the program with. */
export function exitCodeOf(error: TockError): number {
  if (error.code === "usage") return EXIT.usage;
  return error.code === "no-reply" ? EXIT.unconfirmed : EXIT.failed;
}

export const EXIT = { ok: 0, failed: 1, usage: 2, unconfirmed: 3 } as const;

export function usage(message: string, hint?: string): TockError {
  return new TockError("usage", message, hint);
}
