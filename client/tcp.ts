import { connect, Socket } from "node:net";
import { sleep } from "./options.ts";
import type { Target } from "./send-spa.ts";

/** TCP connections to a port that may be shut at first. */

export interface ConnectOptions {
  /** Milliseconds until it gives up. */
  readonly timeout: number;
  /** The port is known to be open: leave it to TCP to try again, since each try of ours is one more connection. */
  readonly isOpen: boolean;
  /** Connect from this port of ours. */
  readonly localPort?: number | undefined;
}

/** How long one try waits for an answer: a SYN that met a shut door gets none, and TCP itself tries again only after 1 s. */
const TRIES_MS = [250, 400, 600, 900, 1_300, 2_000];
/** An error comes at once. It may pass, since what listens behind the door may just be starting; so there is a little time. */
const ERROR_PAUSE_MS = 200;
const ERROR_MS = 2_000;

/**
 * Why there is no connection: `silent` = nobody answered, `refused` = the machine said that nobody listens, `port` = our
 * own port cannot be used.
 */
export interface Unconnected {
  readonly why: "silent" | "refused" | "port" | "failed";
  /** In words: what happened, and where. */
  readonly text: string;
}

/** A connection to the first target that takes one; or the reason why none did. */
export async function connectWithRetry(
  targets: readonly Target[],
  options: ConnectOptions,
): Promise<Socket | Unconnected> {
  const start = performance.now();
  let last: Unconnected = { why: "silent", text: "no time" };
  for (let turn = 0; ; turn++) {
    const spent = performance.now() - start;
    const left = options.timeout - spent;
    if (left <= 0 || (last.why !== "silent" && spent > ERROR_MS)) return last;
    const patience = options.isOpen ? left : Math.min(left, TRIES_MS[turn] ?? 3_000);
    const result = await firstOf(targets, patience, options.localPort);
    if (result instanceof Socket) return result;
    last = result;
    if (last.why !== "silent") await sleep(Math.min(ERROR_PAUSE_MS, left));
  }
}

/** Tries all targets at once and keeps the first connection. */
async function firstOf(
  targets: readonly Target[],
  patience: number,
  localPort: number | undefined,
): Promise<Socket | Unconnected> {
  const enough = new AbortController();
  const failures: Unconnected[] = [];
  const tries = targets.map(async (target) => {
    const result = await attempt(target, patience, localPort, enough.signal);
    if (result instanceof Socket && !enough.signal.aborted) {
      enough.abort();
      return result;
    }
    if (result instanceof Socket) result.destroy();
    else failures.push(result);
    throw new Error("no connection");
  });
  try {
    return await Promise.any(tries);
  } catch {
    const telling =
      failures.find(({ why }) => why === "refused") ?? failures.find(({ why }) => why === "failed");
    return telling ?? failures[0] ?? { why: "failed", text: "no address" };
  }
}

const REASONS: Readonly<Record<string, Unconnected["why"]>> = {
  ECONNREFUSED: "refused",
  EADDRINUSE: "port",
  EADDRNOTAVAIL: "port",
};

function attempt(
  target: Target,
  patience: number,
  localPort: number | undefined,
  enough: AbortSignal,
): Promise<Socket | Unconnected> {
  const place = `${target.address.text} port ${target.port}`;
  return new Promise((resolve) => {
    const socket = connect({
      host: target.address.text,
      port: target.port,
      ...(localPort !== undefined && { localPort }),
      allowHalfOpen: true,
      noDelay: true,
    });
    const settled = new AbortController();
    const fail = (why: Unconnected["why"], text: string): void => {
      settled.abort();
      clearTimeout(timer);
      socket
        .removeAllListeners()
        .on("error", () => undefined)
        .destroy();
      resolve({ why, text });
    };
    const timer = setTimeout(() => fail("silent", `no answer from ${place}`), patience);
    enough.addEventListener("abort", () => fail("failed", "another was first"), { signal: settled.signal });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      fail(REASONS[error.code ?? ""] ?? "failed", `${error.code ?? error.message} from ${place}`);
    });
    socket.once("connect", () => {
      settled.abort();
      clearTimeout(timer);
      socket.removeAllListeners();
      resolve(socket);
    });
  });
}
