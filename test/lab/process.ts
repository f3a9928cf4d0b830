import { type ChildProcess, spawn } from "node:child_process";
import { type Argv, baseEnv, Collector, killGroup, type RunOptions } from "./exec.ts";

/** How a process ended: exit code (-1 after a signal) and the signal. */
export interface Exit {
  readonly code: number;
  readonly signal: NodeJS.Signals | undefined;
}

/** A program that goes on running. Its output is kept; it is stopped by its own pid. */
export class Process {
  readonly argv: Argv;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  #exit: Exit | undefined;
  /** It has ended, though another may hold its pipes. */
  readonly #gone: Promise<void>;
  readonly #child: ChildProcess;
  readonly #stdout = new Collector();
  readonly #stderr = new Collector();
  readonly #changed = new Set<() => void>();
  #line: ((line: string) => void) | undefined;
  #rest = "";

  /** Starts it in a process group of its own. A program that cannot be started throws. */
  constructor(argv: Argv, options: Omit<RunOptions, "timeout"> = {}) {
    const [program, ...args] = argv;
    const child = spawn(program, args, {
      env: baseEnv(options.env),
      cwd: options.cwd,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    if (child.pid === undefined) throw new Error(`cannot start ${program}`);
    this.argv = argv;
    this.pid = child.pid;
    this.#child = child;
    child.on("error", () => undefined);
    child.stdin.on("error", () => undefined);
    child.stdout.on("data", (chunk: Buffer) => {
      if (this.#line) this.#split(chunk, this.#line);
      else this.#collect(this.#stdout, chunk);
    });
    child.stderr.on("data", (chunk: Buffer) => this.#collect(this.#stderr, chunk));
    options.record?.({
      argv,
      env: options.env,
      stdout: () => this.#stdout.bytes(),
      stderr: () => this.#stderr.bytes(),
    });
    if (options.input !== undefined) child.stdin.write(options.input);
    this.#gone = new Promise((resolve) => {
      child.once("exit", () => resolve());
    });
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#exit = { code: code ?? -1, signal: signal ?? undefined };
        resolve(this.#exit);
        this.#wake();
      });
    });
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  get stdout(): string {
    return this.#stdout.text();
  }

  get stderr(): string {
    return this.#stderr.text();
  }

  /** Bytes written to both so far, kept or not. */
  get said(): number {
    return this.#stdout.size + this.#stderr.size;
  }

  /** Hands over standard output line by line from now on, and keeps none of it: for programs that talk for hours. */
  readLines(take: (line: string) => void): void {
    this.#line = take;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Waits for output that matches (standard output first, then standard error). Its end or the time-out (ms) throws. */
  waitFor(pattern: RegExp, timeout = 20_000): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const done = (act: () => void): void => {
        clearTimeout(timer);
        this.#changed.delete(look);
        act();
      };
      const fail = (why: string): void => {
        done(() =>
          reject(new Error(`${this.argv.join(" ")}: ${why} ${pattern}\n${this.stderr}${this.stdout}`)),
        );
      };
      const look = (): void => {
        const found = this.stdout.match(pattern) ?? this.stderr.match(pattern);
        if (found !== null) done(() => resolve(found));
        else if (!this.running) fail("ended without saying");
      };
      const timer = setTimeout(() => fail(`did not say within ${timeout} ms`), timeout);
      this.#changed.add(look);
      look();
    });
  }

  /** Sends a signal to this one process, if it still runs. */
  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  /**
   * SIGTERM (or the signal given), and SIGKILL for the whole group after `patience` ms. What has left the group and
   * holds the pipes still is not waited for: sshd gives each session a group of its own, which outlives it.
   */
  async stop(signal: NodeJS.Signals = "SIGTERM", patience = 5_000): Promise<Exit> {
    this.signal(signal);
    const timer = setTimeout(() => killGroup(this.pid), patience);
    await this.#gone;
    clearTimeout(timer);
    const letGo = setTimeout(() => {
      this.#child.stdout?.destroy();
      this.#child.stderr?.destroy();
    }, 250);
    const exit = await this.exited;
    clearTimeout(letGo);
    return exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.stop();
  }

  #split(chunk: Buffer, take: (line: string) => void): void {
    const lines = (this.#rest + chunk.toString("latin1")).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }

  #collect(collector: Collector, chunk: Buffer): void {
    collector.add(chunk);
    this.#wake();
  }

  #wake(): void {
    for (const look of [...this.#changed]) look();
  }
}
