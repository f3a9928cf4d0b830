import { setTimeout as sleep } from "node:timers/promises";
import type { Result } from "../../shared/result.ts";
import { callDaemon } from "../admin/client.ts";
import type { Settings } from "../config/settings.ts";
import type { AuditEvent } from "../core/event.ts";
import { listenerOf } from "../sys/listener.ts";
import type { Ui } from "../ui.ts";
import { alone } from "./guard-alone.ts";
import { writeAlone } from "./guard-trail.ts";

/** How long the daemon has for its answer, and the kernel to end a daemon that gave none. */
const PATIENCE_MS = 5_000;
const RETRY_MS = 100;

/**
 * Takes the guard off: by the daemon, or, where none runs, it fails or does not answer, without it. Each of the settings is
 * tried until the rules are out.
 */
export async function guardOff(settings: readonly [Settings, ...Settings[]], ui: Ui): Promise<Result<void>> {
  const { socket } = settings[0].server;
  const limit = AbortSignal.timeout(PATIENCE_MS);
  const told = await callDaemon(socket, "guard-off", undefined, undefined, limit);
  const isHung = limit.aborted || (!told.ok && told.error.code === "no-reply");
  if (told.ok && !isHung) return told;
  if (!told.ok && told.error.code === "permission") return told;
  const events: AuditEvent[] = [];
  const done = await offWithout(settings, events, isHung, ui);
  await writeAlone(settings[0].server.state, events, ui);
  return done;
}

/** Without the daemon; one that hangs, and is in the way, is killed. */
async function offWithout(
  settings: readonly [Settings, ...Settings[]],
  events: AuditEvent[],
  isHung: boolean,
  ui: Ui,
): Promise<Result<void>> {
  const { socket } = settings[0].server;
  const off = (): Result<void> => offAlone(settings, events);
  const done = off();
  if (!isHung) return done;
  const pid = listenerOf(socket);
  if (pid !== undefined && !areOut(done)) return afterKilling(pid, off, ui);
  ui.note("tock: warning: the daemon does not answer; this was done without it\n");
  if (pid !== undefined) ui.note(`tock: hint: start it anew; it is process ${pid}: kill -KILL ${pid}\n`);
  return done;
}

function offAlone(
  [first, ...others]: readonly [Settings, ...Settings[]],
  events: AuditEvent[],
): Result<void> {
  const off = (settings: Settings): Result<void> =>
    alone(
      settings,
      (keeper) => keeper.off(),
      (event) => events.push(event),
    );
  let done = off(first);
  for (const other of others) if (!areOut(done)) done = off(other);
  return done;
}

/** Other errors are about what is written down. */
function areOut(done: Result<void>): boolean {
  return done.ok || done.error.code !== "firewall";
}

/** From Linux 6.9 on nobody else can change the nft table of a daemon that lives. Whoever starts it anew starts it with the guard off. */
async function afterKilling(pid: number, off: () => Result<void>, ui: Ui): Promise<Result<void>> {
  ui.note(`tock: warning: the daemon, process ${pid}, does not answer and holds the rules: it is killed\n`);
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended just now.
  }
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const done = off();
    if (areOut(done) || performance.now() > end) return done;
    await sleep(RETRY_MS);
  }
}
