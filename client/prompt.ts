import { closeSync, openSync, readSync } from "node:fs";
import { ReadStream, WriteStream } from "node:tty";
import { usage } from "./ui.ts";

/** Questions to the person at the terminal, which is asked even where standard input is a pipe (as ssh does). */

const [TERMINAL_IN, TERMINAL_OUT] =
  process.platform === "win32" ? ["\\\\.\\CONIN$", "\\\\.\\CONOUT$"] : ["/dev/tty", "/dev/tty"];
const [CTRL_C, CTRL_D, BACKSPACE, DELETE] = ["\u0003", "\u0004", "\b", "\u007f"];

/** The line that was typed, which is not shown; undefined where there is no terminal. */
export async function askHidden(question: string): Promise<string | undefined> {
  const terminal = openTerminal();
  if (terminal === undefined) return undefined;
  const { input, output } = terminal;
  try {
    output.write(question);
    input.setRawMode(true);
    return await typedLine(input);
  } finally {
    input.setRawMode(false);
    output.write("\n");
    input.destroy();
    output.destroy();
  }
}

function openTerminal(): { input: ReadStream; output: WriteStream } | undefined {
  try {
    const input = openSync(TERMINAL_IN, "r");
    return { input: new ReadStream(input), output: new WriteStream(openSync(TERMINAL_OUT, "w")) };
  } catch {
    return undefined;
  }
}

function typedLine(input: ReadStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    input.setEncoding("utf8").on("data", (chunk: string) => {
      for (const key of chunk) {
        if (key === "\r" || key === "\n") return resolve(text);
        if (key === CTRL_C || key === CTRL_D) return reject(usage("stopped at the prompt"));
        if (key === BACKSPACE || key === DELETE) text = text.slice(0, -1);
        else text += key;
      }
    });
    input.once("end", () => resolve(text));
  });
}

/** The first line that comes from a descriptor which the caller has opened for us, at most 1024 bytes. */
export function lineFromDescriptor(option: string, fd: number): string {
  const buffer = Buffer.alloc(1024);
  let length = 0;
  try {
    while (length < buffer.length && !buffer.subarray(0, length).includes(10)) {
      const count = readSync(fd, buffer, length, buffer.length - length, null);
      if (count === 0) break;
      length += count;
    }
    if (fd > 2) closeSync(fd);
  } catch (error) {
    throw usage(`--${option}: cannot read descriptor ${fd} (${(error as NodeJS.ErrnoException).code})`);
  }
  return buffer.subarray(0, length).toString("utf8").split("\n")[0]?.replace(/\r$/, "") ?? "";
}
