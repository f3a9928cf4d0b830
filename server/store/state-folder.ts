import { lstatSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";

/** The device store of a state folder. */
export function storeFile(state: string): string {
  return join(state, "tock.db");
}

/** The replay journal of a state folder. */
export function journalFile(state: string): string {
  return join(state, "journal");
}

/**
 * The state folder holds secrets: it must be a folder of mode 0700 that belongs to this process's user. Root may use the
 * folder of the daemon's user. Gives the owner.
 */
export function checkStateFolder(folder: string): Result<{ readonly uid: number; readonly gid: number }> {
  const found = lookAt(folder);
  if (!found.ok) return found;
  const stat = found.value;
  if (!stat.isDirectory()) return err(new TockError("permission", `${folder}: expected a folder`));
  const problem = privateTo(stat, folder, "0700");
  return problem === undefined ? ok({ uid: stat.uid, gid: stat.gid }) : err(problem);
}

/**
 * A file of the state folder must be a regular file of mode 0600, with one name, that belongs to the folder's owner:
 * root must not be led elsewhere by a link that the daemon's user made. A missing file is `not-found`.
 */
export function checkStateFile(file: string): Result<void> {
  const found = lookAt(file);
  if (!found.ok) return found;
  const stat = found.value;
  if (!stat.isFile() || stat.nlink !== 1) {
    return err(new TockError("permission", `${file}: expected a regular file with one name, not a link`));
  }
  const folder = checkStateFolder(dirname(file));
  if (!folder.ok) return folder;
  if (stat.uid !== folder.value.uid) {
    const hint = `give it back: chown ${folder.value.uid}:${folder.value.gid} ${file}`;
    const message = `${file}: belongs to user ${stat.uid}, its folder to user ${folder.value.uid}`;
    return err(new TockError("permission", message, hint));
  }
  const problem = privateTo(stat, file, "0600");
  return problem === undefined ? ok(undefined) : err(problem);
}

function lookAt(path: string): Result<Stats> {
  try {
    return ok(lstatSync(path));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") {
      return err(new TockError("not-found", `${path}: no such file or folder`, "tockd init makes it"));
    }
    if (code !== "EACCES" && code !== "ENOTDIR") throw error;
    const hint = "run as root, or as the daemon's user";
    return err(new TockError("permission", `${path}: no permission to look at it`, hint));
  }
}

function privateTo(stat: Stats, path: string, mode: string): TockError | undefined {
  const self = process.geteuid?.();
  if (self !== 0 && stat.uid !== self) {
    return new TockError(
      "permission",
      `${path}: belongs to user ${stat.uid}, not to this one (${self})`,
      "run as root, or as the daemon's user",
    );
  }
  if ((stat.mode & 0o077) === 0) return undefined;
  const got = (stat.mode & 0o7777).toString(8).padStart(4, "0");
  return new TockError(
    "permission",
    `${path}: expected mode ${mode}, got ${got}: others could read its secrets`,
    `chmod ${mode} ${path}`,
  );
}
