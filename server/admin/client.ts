import { connect } from "node:net";
import { type ErrorCode, TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { listenerOf } from "../sys/listener.ts";
import { startCommand } from "../sys/units.ts";
import { type LOOKING, type Method, type Methods, viewSocket } from "./methods.ts";

type Line =
  | { readonly value: unknown }
  | { readonly error: { code: ErrorCode; message: string; hint?: string } };

/** Longer than the daemon waits for a program of the firewall. */
const PATIENCE_MS = 30_000;

/**
 * Calls the running daemon. `not-found` where none is running, `permission` where the socket is not for this user, `no-reply`
 * where nothing comes for {@link PATIENCE_MS}. `onLine` gets what the daemon sends before its answer; who gives a signal sees
 * himself to it that the wait ends.
 */
export function callDaemon<M extends Method>(
  path: string,
  method: M,
  params: Methods[M]["params"],
  onLine?: (line: unknown) => void,
  signal?: AbortSignal,
): Promise<Result<Methods[M]["value"]>> {
  return new Promise((resolve) => {
    let received = "";
    const fail = (code: ErrorCode, message: string, hint?: string): void => {
      resolve(err(new TockError(code, message, hint)));
    };
    const socket = connect(path, () => socket.write(`${JSON.stringify({ method, params })}\n`));
    socket.setEncoding("utf8");
    const giveUp = (): void => {
      const seconds = PATIENCE_MS / 1000;
      const pid = listenerOf(path);
      const end = pid === undefined ? "end it" : `kill -KILL ${pid}`;
      const hint = `it may be busy, and what was asked may still be done: tockd status. If that is silent too it hangs: ${end}, and start it anew; tockd guard off works without it`;
      fail("no-reply", `the daemon on ${path} gave no answer for ${seconds} s`, hint);
      socket.destroy();
    };
    const limit = signal === undefined ? setTimeout(giveUp, PATIENCE_MS) : undefined;
    socket.once("close", () => clearTimeout(limit));
    signal?.addEventListener("abort", () => {
      socket.destroy();
      resolve(ok(undefined as Methods[M]["value"]));
    });
    socket.on("data", (text: string) => {
      limit?.refresh();
      received += text;
      for (let end = received.indexOf("\n"); end >= 0; end = received.indexOf("\n")) {
        const line = JSON.parse(received.slice(0, end)) as Line;
        received = received.slice(end + 1);
        if ("error" in line) fail(line.error.code, line.error.message, line.error.hint);
        else if ("value" in line) resolve(ok(line.value as Methods[M]["value"]));
        else onLine?.(line);
      }
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED") {
        fail("not-found", `no daemon is running on ${path}`, `start it: ${startCommand()}`);
      } else if (error.code === "EACCES") {
        fail(
          "permission",
          `socket ${path} is not for this user`,
          "run as root; members of the group tock may look: tockd status, grants, events, metrics, top",
        );
      } else if (error.code === "EAGAIN") {
        fail(
          "no-reply",
          `the daemon on ${path} does not answer: its queue of callers is full`,
          "start it anew",
        );
      } else {
        fail("io", `socket ${path}: ${error.message}`);
      }
    });
    socket.on("close", () => fail("io", `the daemon closed ${path} without an answer`, "look at its log"));
  });
}

/** Like {@link callDaemon}, by the socket that this user may use: the one for looking where the other is not for it. */
export async function lookAtDaemon<M extends (typeof LOOKING)[number]>(
  path: string,
  method: M,
  params: Methods[M]["params"],
  onLine?: (line: unknown) => void,
  signal?: AbortSignal,
): Promise<Result<Methods[M]["value"]>> {
  const told = await callDaemon(path, method, params, onLine, signal);
  if (told.ok || told.error.code !== "permission") return told;
  const seen = await callDaemon(viewSocket(path), method, params, onLine, signal);
  // No second socket: what there is to say is about the one that was named.
  return !seen.ok && seen.error.code === "not-found" ? told : seen;
}
