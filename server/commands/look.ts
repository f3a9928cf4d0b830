import { existsSync } from "node:fs";
import type { Command } from "commander";
import { lookAtDaemon } from "../admin/client.ts";
import type { LOOKING, Methods } from "../admin/methods.ts";
import { loadSettings } from "../config/load.ts";
import { lastGood } from "../last-good.ts";
import { unwrap } from "../../shared/result.ts";
import { Failures } from "../ui.ts";
import { configFile } from "./context.ts";
import { settingsDespiteMistakes } from "../config/despite-mistakes.ts";

/**
 * The running daemon's socket: `--socket`, else by the configuration, else, for those who may look but may not read the
 * configuration, where it usually is. The daemon goes on without a file that cannot be used, so that does not stand in the way
 * of looking, nor of ending what is open: the socket is made out all the same.
 */
export function socketOf(command: Command, isQuiet = false): string {
  const { socket } = command.opts<{ socket?: string }>();
  if (socket !== undefined) return socket;
  const file = configFile(command);
  const settings = loadSettings(file);
  if (settings.ok) return settings.value.server.socket;
  const { socket: found } = (lastGood(file) ?? settingsDespiteMistakes(file)).server;
  const isGone = settings.error.every(({ code }) => code === "not-found");
  if (isGone && !existsSync(found)) throw new Failures(settings.error);
  const warning = unusable(file);
  if (!isQuiet && warning !== undefined) command.configureOutput().writeErr?.(`tock: warning: ${warning}\n`);
  // Those who look again and again are told once.
  command.setOptionValue("socket", found);
  return found;
}

/** What to tell of a file that the daemon could not be started with; who merely may not read it knows nothing of it. */
export function unusable(file: string): string | undefined {
  const settings = loadSettings(file);
  if (settings.ok) return undefined;
  const isNotForUs = process.geteuid?.() !== 0 && settings.error.every(({ code }) => code === "permission");
  return isNotForUs ? undefined : `${file} cannot be used, and the daemon goes on without it: tockd check`;
}

/** Asks the running daemon something that changes nothing. Throws a TockError. */
export async function look<M extends (typeof LOOKING)[number]>(
  command: Command,
  method: M,
  params: Methods[M]["params"],
  onLine?: (line: unknown) => void,
  signal?: AbortSignal,
): Promise<Methods[M]["value"]> {
  return unwrap(await lookAtDaemon(socketOf(command), method, params, onLine, signal));
}

export const SOCKET_FLAG = [
  "--socket <path>",
  "the daemon's socket, where the configuration may not be read",
] as const;
