import { openSync, readSync } from "node:fs";
import type { ReadStream, WriteStream } from "node:tty";
import { usage } from "./ui.ts";

/** Questions to the person at the terminal, which is asked even where standard input is a pipe (as ssh does). */

const [TERMINAL_IN, TERMINAL_OUT] =
  process.platform === "win32" ? ["\\\\.\\CONIN$", "\\\\.\\CONOUT$"] : ["/dev/tty", "/dev/tty"];
const NEWLINE = 10;
const [CTRL_C, CTRL_D, BACKSPACE, DELETE] = ["\u0003", "\u0004", "\b", "\u007f"];

/** The line that was typed, which is not shown; undefined where there is no terminal. */
export function askHidden(question: string): Promise<string | undefined> {
  return converse(question, () => undefined);
}

/** The same, with what is typed shown. */
export function askLine(question: string): Promise<string | undefined> {
  return converse(question, (output, text) => output.write(text));
}

async function converse(question: string, echo: Echo): Promise<string | undefined> {
  const terminal = await openTerminal();
  if (terminal === undefined) return undefined;
  const { input, output } = terminal;
  let text: string | undefined;
  try {
    output.write(question);
    input.setRawMode(true);
    text = await typedLine(input, (typed) => echo(output, typed));
  } finally {
    input.setRawMode(false);
    output.write("\n");
    input.destroy();
    output.destroy();
  }
  if (text === undefined) process.kill(process.pid, "SIGINT");
  return text;
}

async function openTerminal(): Promise<{ input: ReadStream; output: WriteStream } | undefined> {
  const { ReadStream, WriteStream } = await import("node:tty");
  try {
    const input = openSync(TERMINAL_IN, "r");
    return { input: new ReadStream(input), output: new WriteStream(openSync(TERMINAL_OUT, "w")) };
  } catch {
    return undefined;
  }
}

type Echo = (output: WriteStream, text: string) => void;

/** Undefined after Ctrl-C, which in raw mode is a key like any other. */
function typedLine(input: ReadStream, echo: (text: string) => void): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    let text = "";
    input.setEncoding("utf8").on("data", (chunk: string) => {
      for (const key of chunk) {
        if (key === "\r" || key === "\n") return resolve(text);
        if (key === CTRL_C) return resolve(undefined);
        if (key === CTRL_D) return reject(usage("stopped at the prompt"));
        if (key !== BACKSPACE && key !== DELETE) {
          text += key;
          echo(key);
        } else if (text !== "") {
          text = text.slice(0, -1);
          echo("\b \b");
        }
      }
    });
    input.once("end", () => resolve(text));
  });
}

const LONGEST_LINE = 1024;

/** The next line from a descriptor that the caller has opened for us. Read byte by byte: what follows is left for later. */
export function lineFromDescriptor(option: string, fd: number): string {
  const byte = Buffer.alloc(1);
  const line: number[] = [];
  try {
    while (line.length < LONGEST_LINE && readSync(fd, byte, 0, 1, null) === 1 && byte[0] !== NEWLINE) {
      line.push(byte[0] ?? 0);
    }
  } catch (error) {
    throw usage(`--${option}: cannot read descriptor ${fd} (${(error as NodeJS.ErrnoException).code})`);
  }
  return Buffer.from(line).toString("utf8").replace(/\r$/, "");
}
