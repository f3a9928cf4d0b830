import type { Command } from "commander";
import { lookAtDaemon } from "../admin/client.ts";
import type { LOOKING, Methods } from "../admin/methods.ts";
import { loadSettings } from "../config/load.ts";
import { unwrap } from "../../shared/result.ts";
import { Failures } from "../ui.ts";
import { configFile } from "./context.ts";
import { settingsDespiteMistakes } from "./way-back.ts";

const DEFAULT_SOCKET = "/run/tock/tockd.sock";

/**
 * The running daemon's socket: `--socket`, else by the configuration, else, for those who may look but may not read the
 * configuration, where it usually is. The daemon goes on while the file has mistakes, so these do not stand in the way of
 * looking, nor of ending what is open: the socket is made out all the same.
 */
export function socketOf(command: Command, isQuiet = false): string {
  const { socket } = command.opts<{ socket?: string }>();
  if (socket !== undefined) return socket;
  const file = configFile(command);
  const settings = loadSettings(file);
  if (settings.ok) return settings.value.server.socket;
  if (settings.error.every(({ code }) => code === "permission")) return DEFAULT_SOCKET;
  if (!settings.error.every(({ code }) => code === "config")) throw new Failures(settings.error);
  if (!isQuiet) {
    const warning = `tock: warning: ${file} cannot be used, and the daemon goes on without it: tockd check\n`;
    command.configureOutput().writeErr?.(warning);
  }
  const { socket: found } = settingsDespiteMistakes(file).server;
  // Those who look again and again are told once.
  command.setOptionValue("socket", found);
  return found;
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
