import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { userOf } from "../shared/brand.ts";
import { type AuditEvent, isAlarm } from "./core/event.ts";
import type { Log } from "./log.ts";
import { userIds } from "./sys/accounts.ts";

/** A program and its arguments. Never a shell string. */
type Argv = readonly [string, ...string[]];

export interface HookSettings {
  readonly onGrant: Argv | undefined;
  readonly onClose: Argv | undefined;
  readonly onAlarm: Argv | undefined;
  /** Whom they run as where the daemon is root. */
  readonly user: string;
  /** Seconds. */
  readonly timeout: number;
}

/** Hooks that run at the same time, and those that may wait for their turn. */
const AT_ONCE = 8;
const WAITING = 128;
const OUTPUT = 4096;

type Environment = Readonly<Record<string, string>>;

/**
 * Runs the owner's programs for grants, ends of grants and alarms: without a shell, without privileges, for a limited time, a
 * few at once. Nothing waits for them.
 */
export class Hooks {
  readonly #log: Log;
  #settings: HookSettings;
  readonly #waiting: { argv: Argv; environment: Environment }[] = [];
  readonly #running = new Set<ChildProcess>();
  #dropped = 0;

  constructor(settings: HookSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
  }

  set settings(settings: HookSettings) {
    this.#settings = settings;
  }

  get running(): number {
    return this.#running.size;
  }

  /** A function of its own, to be handed around. */
  readonly handle = (event: AuditEvent): void => {
    const { onGrant, onClose, onAlarm } = this.#settings;
    const isEnd = event.kind === "closed" || event.kind === "ended";
    const argv = event.kind === "granted" ? onGrant : isEnd ? onClose : isAlarm(event) ? onAlarm : undefined;
    if (argv !== undefined) this.#queue(argv, environmentOf(event));
  };

  /** Ends what still runs. */
  stop(): void {
    this.#waiting.length = 0;
    for (const child of this.#running) kill(child);
  }

  #queue(argv: Argv, environment: Environment): void {
    if (this.#waiting.length >= WAITING) {
      if (this.#dropped++ === 0) this.#log.warn({ hook: argv[0] }, "hook left out: too many wait already");
      return;
    }
    this.#waiting.push({ argv, environment });
    this.#next();
  }

  #next(): void {
    while (this.#running.size < AT_ONCE) {
      const next = this.#waiting.shift();
      if (next === undefined) {
        if (this.#dropped > 0) this.#log.warn({ hooks: this.#dropped }, "hooks were left out");
        this.#dropped = 0;
        return;
      }
      this.#run(next.argv, next.environment);
    }
  }

  #run(argv: Argv, environment: Environment): void {
    const identity = this.#identity();
    if (identity === undefined) {
      this.#log.warn({ user: this.#settings.user }, "hook not run: there is no such user");
      return;
    }
    const [program, ...args] = unprivileged(argv);
    const child = spawn(program, args, {
      ...identity,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C.UTF-8", ...environment },
      cwd: "/",
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#running.add(child);
    let output = "";
    const collect = (chunk: Buffer): void => {
      if (output.length < OUTPUT) output = (output + chunk.toString()).slice(0, OUTPUT);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    const timer = setTimeout(() => kill(child), this.#settings.timeout * 1000);
    timer.unref();
    const done = (fields: Record<string, unknown>, isRight: boolean): void => {
      if (!this.#running.delete(child)) return;
      clearTimeout(timer);
      // What it left behind in its process group goes too.
      kill(child);
      const line = { hook: argv[0], event: environment["TOCK_EVENT"], ...fields };
      if (isRight) this.#log.debug({ ...line, output }, "hook done");
      else this.#log.warn(line, "hook failed");
      if (!isRight && output !== "") this.#log.debug({ hook: argv[0], output }, "hook output");
      this.#next();
    };
    child.once("error", (error: NodeJS.ErrnoException) =>
      done({ error: error.code ?? error.message }, false),
    );
    child.once("exit", (code, signal) => done(signal === null ? { code } : { signal }, code === 0));
  }

  #identity(): { uid?: number; gid?: number } | undefined {
    return process.geteuid?.() === 0 ? userIds(this.#settings.user) : {};
  }
}

/** Capabilities that the daemon's unit gives it are not for hooks. */
function unprivileged(argv: Argv): Argv {
  if (process.geteuid?.() === 0 || !hasAmbient()) return argv;
  return ["setpriv", "--no-new-privs", "--ambient-caps=-all", "--inh-caps=-all", "--", ...argv];
}

function hasAmbient(): boolean {
  try {
    const set = /^CapAmb:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1];
    return set !== undefined && !/^0+$/.test(set);
  } catch {
    return false;
  }
}

function kill({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has gone already.
  }
}

/** Everything about an event that hooks may know. A value that does not apply is empty. */
export function environmentOf(event: AuditEvent): Environment {
  const fields = event as unknown as Readonly<Record<string, unknown>>;
  const text = (name: string): string => {
    const value = fields[name];
    if (typeof value === "string" || typeof value === "number") return String(value);
    return typeof value === "object" && value !== null && "text" in value ? String(value.text) : "";
  };
  const device = "device" in event ? event.device : undefined;
  return {
    TOCK_EVENT: event.kind,
    TOCK_USER: device === undefined ? "" : userOf(device),
    TOCK_DEVICE: device ?? "",
    TOCK_SERVICE: text("service"),
    TOCK_ADDRESS: text("allowed") || text("source"),
    TOCK_LIFETIME: text("lifetime"),
    TOCK_MESSAGE: text("message") || text("rule") || text("why"),
  };
}
