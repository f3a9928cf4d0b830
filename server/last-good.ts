import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { TockError } from "../shared/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { settingsDespiteMistakes } from "./config/despite-mistakes.ts";
import { formatSettings } from "./config/format-settings.ts";
import { loadSettings } from "./config/load.ts";
import { parseSettings } from "./config/parse.ts";
import type { Settings } from "./config/settings.ts";
import { GuardWish } from "./guard-wish.ts";
import { codeOf, putFile } from "./store/journal-io.ts";
import { checkStateFile } from "./store/state-folder.ts";
import { userIds } from "./sys/accounts.ts";
import { isBelowRootsAlone } from "./sys/roots-alone.ts";

/** What a start goes by: the file, or, where that has mistakes, what was last taken from it. */
export interface Start {
  readonly settings: Settings;
  /** What is wrong with the file; none = the settings are the file's. */
  readonly mistakes: readonly TockError[];
}

/** The last good configuration of a state folder. */
export function lastGoodFile(state: string): string {
  return join(state, "last-good.toml");
}

/** Whose it is: another file's mistakes are no reason to go by this one. */
function firstLine(file: string): string {
  return `# What tockd last took from ${JSON.stringify(resolve(file))}, for a start at which that file has a mistake.\n`;
}

/**
 * Keeps what was taken from the configuration file, with every default written out, so that another version reads the same in it.
 * Where it cannot be written the one of before stays.
 */
export function keepLastGood(file: string, settings: Settings): Result<void> {
  const path = lastGoodFile(settings.server.state);
  const text = `${firstLine(file)}\n${formatSettings(settings)}`;
  try {
    if (isText(path, text)) return ok(undefined);
    const contents = (): Buffer => Buffer.from(text);
    closeSync(putFile(path, "over", () => true, contents));
    return ok(undefined);
  } catch (error) {
    return err(new TockError("io", `${path} cannot be written: ${codeOf(error)}`));
  }
}

function isText(path: string, text: string): boolean {
  try {
    return readFileSync(path, "utf8") === text;
  } catch {
    return false;
  }
}

/** The file's settings, or, where it cannot be used, those that were last taken from it; where there are none, what is wrong. */
export function settingsToStart(file: string): Result<Start, readonly TockError[]> {
  const loaded = loadSettings(file);
  if (loaded.ok) return ok({ settings: loaded.value, mistakes: [] });
  const settings = lastGood(file);
  if (settings === undefined) return loaded;
  // A file that is gone may be gone on purpose; not with a guard that nobody could open any more.
  const isGone = loaded.error.every(({ code }) => code === "not-found");
  if (isGone && new GuardWish(settings.server.state).read().kind === "off") return loaded;
  return ok({ settings, mistakes: loaded.error });
}

/**
 * What was last taken from this file, as far as this process may trust it. Undefined where there is none, it is another
 * file's, this version does not understand it, or others could have written it. A file that others could have written does not
 * say where it is: the usual state folder does.
 */
export function lastGood(file: string): Settings | undefined {
  const { state, socket } = settingsDespiteMistakes(file).server;
  const path = lastGoodFile(state);
  const kept = readKept(path);
  if (kept?.text.startsWith(firstLine(file)) !== true) return undefined;
  const parsed = parseSettings(kept.text, path);
  if (!parsed.ok) return undefined;
  const settings = parsed.value;
  if (kept.uid === process.geteuid?.()) return { ...settings, server: { ...settings.server, state } };
  // The daemon's user wrote it, and this is root, who must not do for him what he could not do himself: become another
  // user, give away a folder, run a program.
  if (userIds(settings.server.user)?.uid !== kept.uid) return undefined;
  const hooks = { ...settings.hooks, onGrant: undefined, onClose: undefined, onAlarm: undefined };
  return { ...settings, server: { ...settings.server, state, socket }, hooks };
}

function readKept(path: string): { readonly text: string; readonly uid: number } | undefined {
  let descriptor: number | undefined;
  try {
    if (!checkStateFile(path).ok) return undefined;
    // Root takes nothing from a folder that somebody could put in the place of the daemon's.
    if (process.geteuid?.() === 0 && !isBelowRootsAlone(realpathSync(dirname(path)))) return undefined;
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    return { text: readFileSync(descriptor, "utf8"), uid: fstatSync(descriptor).uid };
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
