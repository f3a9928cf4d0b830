import { styleText } from "node:util";
import type { Argv, Output } from "../../test/lab/exec.ts";
import type { Host } from "../../test/lab/host.ts";
import { sleep } from "../../test/lab/wait.ts";

/** Something that the demo promises and that did not happen. */
export class BrokenPromise extends Error {}

type Style = Parameters<typeof styleText>[0];

const WIDTH = 88;
const INDENT = "     ";

/** What the audience sees: scenes, commands, their output, and claims that were checked. Colours only on a terminal. */
export class Stage {
  readonly #out: NodeJS.WriteStream;
  #scene = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  title(text: string): void {
    this.#line(`\n  ${this.#style("bold", text)}`);
  }

  /** A new scene; scenes are numbered. */
  scene(text: string): void {
    this.#scene++;
    this.#line(`\n  ${this.#style(["bold", "cyan"], String(this.#scene))}  ${this.#style("bold", text)}`);
  }

  /** Plain words, wrapped. */
  say(text: string): void {
    for (const line of wrap(text, WIDTH - INDENT.length)) this.#line(INDENT + line);
  }

  /** Shows a command, runs it on the host, shows what it printed (or the lines of it that matter), and gives that. */
  async run(host: Host, shown: string, argv: Argv, matters = /\S/): Promise<Output> {
    this.#line(`${INDENT}${this.#style("magenta", `${host.name}$`)} ${shown}`);
    const output = await host.run(argv, { timeout: 60_000 });
    this.show(output.stdout + output.stderr, matters);
    return output;
  }

  /** Output of a command, set apart. */
  show(text: string, matters = /\S/): void {
    for (const line of text.split("\n").filter((each) => matters.test(each))) {
      this.#line(this.#style("dim", `${INDENT}  ${line}`));
    }
  }

  /** States a claim that was just checked; where it does not hold, the demo ends. */
  claim(holds: boolean, text: string): void {
    if (!holds) throw new BrokenPromise(text);
    this.#line(`${INDENT}${this.#style("green", "✓")} ${text}`);
  }

  /** Waits with a count-down (on a terminal) until `until` gives true, for at most `seconds`. Gives the seconds it took. */
  async wait(what: string, seconds: number, until: () => boolean | Promise<boolean>): Promise<number> {
    const start = performance.now();
    const passed = (): number => (performance.now() - start) / 1000;
    if (!this.#out.isTTY) this.#line(`${INDENT}… ${what}`);
    try {
      while (!(await until())) {
        if (passed() > seconds) throw new BrokenPromise(`${what}: not within ${seconds} seconds`);
        if (this.#out.isTTY)
          this.#out.write(`\r${INDENT}${this.#style("dim", `… ${what}: ${Math.floor(passed())} s`)}`);
        await sleep(250);
      }
    } finally {
      if (this.#out.isTTY) this.#out.write("\r\u001b[K");
    }
    return passed();
  }

  failed(text: string): void {
    this.#line(`${INDENT}${this.#style("red", "✗")} not as promised: ${text}`);
  }

  #line(text: string): void {
    this.#out.write(`${text}\n`);
  }

  #style(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#out });
  }
}

function wrap(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) ?? "";
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}
