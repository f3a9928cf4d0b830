import { connect, type Socket } from "node:net";
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
/** A refusal means that nobody listens behind an open door, who may just be starting; so it is tried for a while more. */
const REFUSED_PAUSE_MS = 200;
const REFUSED_MS = 2_000;

/** A connection to the first target that takes one; or the reason why none did. */
export async function connectWithRetry(
  targets: readonly Target[],
  options: ConnectOptions,
): Promise<Socket | string> {
  const start = performance.now();
  let reason = "no address";
  for (let turn = 0; ; turn++) {
    const spent = performance.now() - start;
    const left = options.timeout - spent;
    if (left <= 0 || (isRefusal(reason) && spent > REFUSED_MS)) return reason;
    const patience = options.isOpen ? left : Math.min(left, TRIES_MS[turn] ?? 3_000);
    const result = await firstOf(targets, patience, options.localPort);
    if (typeof result !== "string") return result;
    reason = result;
    if (isRefusal(reason)) await sleep(Math.min(REFUSED_PAUSE_MS, left));
    // No way there at all: an answer came at once, and another would too.
    else if (performance.now() - start - spent < patience / 2) await sleep(patience);
  }
}

/** Tries all targets at once and keeps the first connection. */
async function firstOf(
  targets: readonly Target[],
  patience: number,
  localPort: number | undefined,
): Promise<Socket | string> {
  const stop = new AbortController();
  const reasons: string[] = [];
  const tries = targets.map(async (target) => {
    const result = await attempt(target, patience, localPort, stop.signal);
    if (typeof result === "string") {
      reasons.push(result);
      throw new Error(result);
    }
    if (stop.signal.aborted) {
      result.destroy();
      throw new Error("another was first");
    }
    stop.abort();
    return result;
  });
  try {
    return await Promise.any(tries);
  } catch {
    return reasons.find(isRefusal) ?? reasons[0] ?? "no address";
  }
}

export function isRefusal(reason: string): boolean {
  return reason.startsWith("ECONNREFUSED");
}

function attempt(
  target: Target,
  patience: number,
  localPort: number | undefined,
  stop: AbortSignal,
): Promise<Socket | string> {
  return new Promise((resolve) => {
    const socket = connect({
      host: target.address.text,
      port: target.port,
      ...(localPort !== undefined && { localPort }),
      allowHalfOpen: true,
      noDelay: true,
    });
    const give = (result: Socket | string): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", stopped);
      socket.removeAllListeners("error").removeAllListeners("connect");
      if (typeof result === "string") socket.on("error", () => undefined).destroy();
      resolve(result);
    };
    const stopped = (): void => give("another was first");
    const timer = setTimeout(
      () => give(`no answer from ${target.address.text} port ${target.port}`),
      patience,
    );
    stop.addEventListener("abort", stopped);
    socket.once("connect", () => give(socket));
    socket.once("error", (error: NodeJS.ErrnoException) =>
      give(`${error.code ?? error.message} from ${target.address.text} port ${target.port}`),
    );
  });
}
