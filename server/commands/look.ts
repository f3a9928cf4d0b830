import type { Command } from "commander";
import { lookAtDaemon } from "../admin/client.ts";
import type { LOOKING, Methods } from "../admin/methods.ts";
import { loadSettings } from "../config/load.ts";
import { unwrap } from "../../shared/result.ts";
import { Failures } from "../ui.ts";
import { configFile } from "./context.ts";

const DEFAULT_SOCKET = "/run/tock/tockd.sock";

/**
 * The running daemon's socket: `--socket`, else by the configuration, else, for those who may look but may not read the
 * configuration, where it usually is.
 */
export function socketOf(command: Command): string {
  const { socket } = command.opts<{ socket?: string }>();
  if (socket !== undefined) return socket;
  const settings = loadSettings(configFile(command));
  if (settings.ok) return settings.value.server.socket;
  if (settings.error.every(({ code }) => code === "permission")) return DEFAULT_SOCKET;
  throw new Failures(settings.error);
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
