import { quote, type UnixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { callDaemon } from "../admin/client.ts";
import { parseDuration } from "../config/duration.ts";
import type { Settings } from "../config/settings.ts";
import { clockState } from "../sys/clock.ts";
import type { DeviceRecord } from "../store/device-rows.ts";
import { sshSession } from "../sys/ssh-session.ts";
import { startCommand } from "../sys/units.ts";
import { json } from "../ui.ts";
import { type Context, withStore } from "./context.ts";

/** How a guard is put on trial: what is looked at before, and what people are told. */

export interface OnFlags {
  /** A time; false = `--no-confirm`. */
  readonly confirm?: string | false;
  readonly unchecked?: boolean;
  readonly json?: boolean;
}

const DEFAULT_SECONDS = 60;
const MOST_SECONDS = 3600;
/** A device that came in so lately shows that its clock and this one agree. */
const LATELY_MS = 600_000;

/**
 * How long the guard is to be on trial; undefined = it is to stay. In any SSH session the trial is the default: which port the client
 * sent to cannot be told from sshd's own, as other rules may redirect it.
 */
export async function trialSeconds(flags: OnFlags, settings: Settings): Promise<number | undefined> {
  if (typeof flags.confirm === "string") {
    const seconds = parseDuration(flags.confirm);
    if (seconds !== undefined && seconds <= MOST_SECONDS) return seconds;
    const message = `--confirm: expected a time from 1s to 1h, got ${quote(flags.confirm)}`;
    throw new TockError("usage", message, "for example 60s");
  }
  if (flags.confirm === false || sshSession() === undefined) return undefined;
  const status = await callDaemon(settings.server.socket, "status", undefined);
  const stays = status.ok && status.value.guard === "on" && status.value.guardTrial === null;
  return stays ? undefined : DEFAULT_SECONDS;
}

/** Looks whether there will be a way back in, then puts the guard on for so long. */
export async function startTrial(
  seconds: number,
  flags: OnFlags,
  settings: Settings,
  context: Context,
): Promise<void> {
  const { ui } = context;
  const { socket, name } = settings.server;
  if (flags.unchecked !== true) await checkWayBack(settings, context.now());
  else if (clockState()?.synchronised === false) {
    ui.note(
      "tock: warning: nothing keeps this machine's clock right; when it is off by a minute no device can open\n",
    );
    ui.note("tock: hint: install chrony or systemd-timesyncd\n");
  }
  const session = sshSession();
  unwrap(await callDaemon(socket, "guard-trial", { seconds, session: session ?? null }));
  if (flags.json === true) return ui.out(json({ guard: "on", trial: seconds }));
  const end = new Date(context.now() + seconds * 1000).toTimeString().slice(0, 8);
  ui.out(`guard: on, on trial: it takes itself off in ${seconds} s, at ${end}\n`);
  if (session !== undefined) ui.note(`this session from ${session.client} goes on\n`);
  ui.note(`to keep the guard, in another terminal:
  tock open ${name}
  log in anew, and there: tockd guard confirm
`);
}

/** A guard that is on for good, put on at the console, is on; it is said what is in the way of opening it. */
export async function warnOfNoWayBack(settings: Settings, context: Context): Promise<void> {
  const { ui } = context;
  try {
    await checkWayBack(settings, context.now());
  } catch (error) {
    if (!(error instanceof TockError)) throw error;
    ui.note(`tock: warning: ${error.message.replace(/^guard: /, "")}\n`);
    ui.note("tock: hint: tockd guard off opens the ports again, to everybody\n");
  }
}

async function checkWayBack(settings: Settings, now: UnixMillis): Promise<void> {
  const skip = "to do without this check: --unchecked";
  const running = await callDaemon(settings.server.socket, "status", undefined);
  if (!running.ok) {
    if (running.error.code !== "not-found") throw running.error;
    const hint = `start it, so that there is somebody to open the guard: ${startCommand()}; ${skip}`;
    throw new TockError("refused", "guard: no daemon is running", hint);
  }
  const { devices } = await withStore(settings, (store) => unwrap(store.loadAll()));
  const enrolled = devices.filter(({ enabled, enrolling }) => enabled && !enrolling);
  if (enrolled.length === 0) {
    const hint = `tockd device add ${settings.users[0]?.name ?? "USER"}/laptop, then tock enroll on the device; ${skip}`;
    throw new TockError("refused", "guard: no device is enrolled, so nobody could open it", hint);
  }
  if (enrolled.every(({ lastUse }) => lastUse === undefined)) {
    const hint = `on the device: tock ping ${settings.server.name}; ${skip}`;
    throw new TockError("refused", "guard: no device has ever reached this server", hint);
  }
  if (isClockDoubtful(clockState()?.synchronised, enrolled, now)) {
    const hint = `install chrony or systemd-timesyncd; or see that the clocks agree: on the device, tock ping ${settings.server.name}; ${skip}`;
    const message =
      "guard: nothing keeps this machine's clock right, and no device has reached it in the last 10 minutes";
    throw new TockError("refused", message, hint);
  }
}

/** Where nothing keeps the clock right, only a device that came in lately shows that it is right now. */
export function isClockDoubtful(
  isSynchronised: boolean | undefined,
  devices: readonly Pick<DeviceRecord, "lastUse">[],
  now: UnixMillis,
): boolean {
  if (isSynchronised !== false) return false;
  return !devices.some(({ lastUse }) => lastUse !== undefined && Math.abs(now - lastUse.at) < LATELY_MS);
}
