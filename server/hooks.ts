import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { userOf } from "../shared/brand.ts";
import { type AuditEvent, isAlarm } from "./core/event.ts";
import type { Log } from "./log.ts";
import { userIds } from "./sys/accounts.ts";
import { capabilities } from "./sys/privileges.ts";

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

/** Hooks that run at the same time, and those that may wait for their turn: alarms, and as many of all others. */
const AT_ONCE = 8;
const WAITING = 128;
const OUTPUT = 4096;

type Environment = Readonly<Record<string, string>>;
type Child = ChildProcessByStdio<null, Readable, Readable>;
type Identity = { readonly uid?: number; readonly gid?: number };

interface Queue {
  readonly jobs: { readonly argv: Argv; readonly environment: Environment }[];
  /** Left out since it was last empty. */
  dropped: number;
}

/**
 * Runs the owner's programs for grants, ends of grants and alarms: without a shell, for a limited time, a few at once.
 * Nothing waits for them. Where the daemon is root they run as another user; else as the daemon's own, without its
 * capabilities, but with the reach of that user: its state and its control socket. Alarms have a queue of their own, which
 * goes first: a device that opens and closes all the time cannot keep them away.
 */
export class Hooks {
  readonly #log: Log;
  #settings: HookSettings;
  readonly #alarms: Queue = { jobs: [], dropped: 0 };
  readonly #others: Queue = { jobs: [], dropped: 0 };
  readonly #running = new Set<ChildProcess>();

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
    if (argv === undefined) return;
    this.#add(isAlarm(event) ? this.#alarms : this.#others, argv, environmentOf(event));
  };

  /** Ends what still runs. */
  stop(): void {
    for (const { jobs } of [this.#alarms, this.#others]) jobs.length = 0;
    for (const child of this.#running) kill(child);
  }

  #add(queue: Queue, argv: Argv, environment: Environment): void {
    if (queue.jobs.length >= WAITING) {
      if (queue.dropped++ === 0) this.#log.warn({ hook: argv[0] }, "hook left out: too many wait already");
      return;
    }
    queue.jobs.push({ argv, environment });
    this.#next();
  }

  #next(): void {
    while (this.#running.size < AT_ONCE) {
      const next = this.#take(this.#alarms) ?? this.#take(this.#others);
      if (next === undefined) return;
      this.#run(next.argv, next.environment);
    }
  }

  #take(queue: Queue): Queue["jobs"][number] | undefined {
    const next = queue.jobs.shift();
    if (next === undefined && queue.dropped > 0) {
      this.#log.warn({ hooks: queue.dropped }, "hooks were left out");
      queue.dropped = 0;
    }
    return next;
  }

  #run(argv: Argv, environment: Environment): void {
    const identity = this.#identity();
    if (identity === undefined) {
      this.#log.warn({ user: this.#settings.user }, "hook not run: there is no such user");
      return;
    }
    const child = this.#start(argv, environment, identity);
    if (child === undefined) return;
    this.#running.add(child);
    let output = "";
    const collect = (chunk: Buffer): void => {
      if (output.length < OUTPUT) output = (output + chunk.toString()).slice(0, OUTPUT);
    };
    // Where no file descriptor is left, there are no pipes either, whatever the types say.
    const pipes: (Readable | undefined)[] = [child.stdout, child.stderr];
    for (const pipe of pipes) pipe?.on("data", collect);
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

  #start(argv: Argv, environment: Environment, identity: Identity): Child | undefined {
    const [program, ...args] = unprivileged(argv);
    try {
      return spawn(program, args, {
        ...identity,
        env: { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C.UTF-8", ...environment },
        cwd: "/",
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
      });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const event = environment["TOCK_EVENT"];
      this.#log.warn({ hook: argv[0], event, error: code ?? message }, "hook failed");
      return undefined;
    }
  }

  #identity(): Identity | undefined {
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
    return capabilities("CapAmb") !== 0n;
  } catch {
    // Not known, for example because no file descriptor is left: to give up what one may not have does no harm.
    return true;
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
