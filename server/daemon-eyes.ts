import { constants, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { TockError } from "../shared/errors.ts";
import { err, type Result } from "../shared/result.ts";
import { loadSettings } from "./config/load.ts";
import type { Settings } from "./config/settings.ts";
import { may } from "./hand-over.ts";
import { groupName, userIds } from "./sys/accounts.ts";
import { askingAs, mayChangeUser } from "./sys/privileges.ts";

const { R_OK, X_OK } = constants;

/**
 * Why the daemon could not read this configuration, which root can: root looks with the eyes of the daemon's user. That is he whose
 * the state folder is: while it is root's, the next start as root hands both over.
 */
export function unreadableByDaemon(file: string, { server }: Settings): TockError | undefined {
  const { user: name, state } = server;
  const ids = userIds(name);
  if (process.geteuid?.() !== 0 || ids === undefined || ids.uid === 0) return undefined;
  if (statSync(state, { throwIfNoEntry: false })?.uid !== ids.uid || !mayChangeUser()) return undefined;
  const barred = askingAs({ name, ...ids }, () => barrier(file));
  if (barred === undefined) return undefined;
  const message = `${file}: the daemon's user, ${name}, has no permission to read it`;
  return new TockError("permission", message, wayThrough(file, barred, ids.gid));
}

/** The configuration as the running daemon reads it: where it may not, the hint says how it may. */
export function loadAsDaemon(file: string): Result<Settings, readonly TockError[]> {
  const loaded = loadSettings(file);
  const barred = loaded.ok ? undefined : barrier(file);
  if (loaded.ok || barred === undefined) return loaded;
  const hint = wayThrough(file, barred, process.getegid?.() ?? 0);
  return err(loaded.error.map(({ code, message }) => new TockError(code, message, hint)));
}

/** The file, or the first folder on the way to it, that may not be used; undefined = nothing is in the way, or it is not there. */
function barrier(file: string): string | undefined {
  const path = resolve(file);
  const folder = [...foldersOf(path), ...foldersOf(realOf(path))].find((each) => !may(each, X_OK));
  if (folder !== undefined) return isThere(folder) ? folder : undefined;
  return isThere(path) && !may(path, R_OK) ? path : undefined;
}

function wayThrough(file: string, barred: string, gid: number): string {
  const group = groupName(gid) ?? gid;
  const mode = barred === resolve(file) ? "640" : "g+x";
  return `as root: chgrp ${group} ${barred}; chmod ${mode} ${barred}`;
}

/** From the root down. */
function foldersOf(path: string): string[] {
  const folder = dirname(path);
  return folder === path ? [] : [...foldersOf(folder), folder];
}

function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function isThere(path: string): boolean {
  return may(path, constants.F_OK);
}
