import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Ran } from "./secret-search.ts";

/** A program and its arguments. Never a shell string. */
export type Argv = readonly [string, ...string[]];

/** How a command ended, and what it said. */
export interface Output {
  /** Exit code; -1 when a signal ended it. */
  readonly code: number;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

export interface RunOptions {
  /** Milliseconds until the command and everything it started is killed. Default 20,000. */
  readonly timeout?: number;
  readonly input?: string | Uint8Array;
  /** Added to a small, fixed environment; nothing of the caller's own leaks in. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Is told what was run and what it said. */
  readonly record?: (ran: Ran) => void;
}

const MOST_OUTPUT = 16 * 1024 * 1024;

/** Where the lab's own helpers keep what Node made of their sources: each starts in a third of the time. */
export const COMPILED = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL("../../build/compiled", import.meta.url)),
};

/** The environment that every command of the lab starts from. */
export function baseEnv(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const path = process.env["PATH"] ?? "/usr/bin:/bin";
  return {
    PATH: `${path}:/usr/local/sbin:/usr/sbin:/sbin`,
    LANG: "C",
    LC_ALL: "C",
    HOME: "/nonexistent",
    ...extra,
  };
}

/** Runs a command to its end. It rejects only when the program cannot be started; any exit code is an answer. */
export function run(argv: Argv, options: RunOptions = {}): Promise<Output> {
  const { timeout = 20_000, input, env, cwd } = options;
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: baseEnv(env),
      cwd,
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const stdout = new Collector();
    const stderr = new Collector();
    options.record?.({ argv, env, stdout: () => stdout.bytes(), stderr: () => stderr.bytes() });
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child.pid);
    }, timeout);
    child.stdout.on("data", (chunk: Buffer) => stdout.add(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.add(chunk));
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({
        code: code ?? -1,
        signal: signal ?? undefined,
        stdout: stdout.text(),
        stderr: stderr.text(),
        timedOut,
      });
    });
  });
}

/** Like {@link run}, but anything else than exit code 0 throws, with what the command said. Gives standard output. */
export async function must(argv: Argv, options: RunOptions = {}): Promise<string> {
  const output = await run(argv, options);
  if (output.code === 0) return output.stdout;
  const why = output.timedOut ? "timed out" : `exit code ${output.code}`;
  throw new Error(`${argv.join(" ")}: ${why}\n${output.stderr}${output.stdout}`.trimEnd());
}

/** Kills a process that was started with `detached`, and its children. Gone already is fine. */
export function killGroup(pid: number | undefined, signal: NodeJS.Signals = "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended already.
  }
}

/** The first megabytes of a stream; the rest is counted away so that no test can eat the memory. */
export class Collector {
  readonly #chunks: Buffer[] = [];
  /** Bytes that came, kept or not. */
  size = 0;

  add(chunk: Buffer): void {
    if (this.size < MOST_OUTPUT) this.#chunks.push(chunk);
    this.size += chunk.length;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  text(): string {
    return this.bytes().toString("utf8");
  }
}
