import { connect, type Socket } from "node:net";
import { sleep } from "./options.ts";
import type { Target } from "./send-spa.ts";

/** TCP connections to a port that may be shut at first. */

export interface ConnectOptions {
  /** Milliseconds until it gives up. */
  readonly timeout: number;
  /** Connect from this port of ours. */
  readonly localPort?: number | undefined;
}

/** How long one try waits for an answer: a SYN that met a shut door gets none, and TCP itself tries again only after 1 s. */
const TRIES_MS = [250, 400, 600, 900, 1_300, 2_000];
/** Pause after a refusal: the door is open, and whoever should listen behind it may just be starting. */
const REFUSED_PAUSE_MS = 200;

/** A connection to the first target that takes one; or the reason why none did. */
export async function connectWithRetry(
  targets: readonly Target[],
  options: ConnectOptions,
): Promise<Socket | string> {
  const end = performance.now() + options.timeout;
  let reason = "no address";
  for (let turn = 0; ; turn++) {
    const left = end - performance.now();
    if (left <= 0) return reason;
    const patience = Math.min(left, TRIES_MS[turn] ?? 3_000);
    const results = await firstOf(targets, patience, options.localPort);
    if (typeof results !== "string") return results;
    reason = results;
    if (reason.includes("ECONNREFUSED")) await sleep(Math.min(REFUSED_PAUSE_MS, left));
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
    return reasons.find((reason) => reason.includes("ECONNREFUSED")) ?? reasons[0] ?? "no address";
  }
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
