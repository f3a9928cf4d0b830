import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { TockError } from "../shared/errors.ts";

/**
 * Files that hold secrets: only the user's own, readable by nobody else, and never half-written.
 * Modes and owners mean nothing on Windows, where the profile folder's access list does the same.
 */
const isPosix = process.platform !== "win32";
const NO_FOLLOW = isPosix ? constants.O_NOFOLLOW : 0;

/** The text of a private file; undefined where there is none. Lax modes, a foreign owner or a symbolic link are refused. */
export function readPrivate(path: string): string | undefined {
  const fd = openExisting(path);
  if (fd === undefined) return undefined;
  try {
    assertPrivate(path, fstatSync(fd), "600");
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

/** Puts a file in the place of another in one step that survives a loss of power: afterwards it is there, whole. */
export function writePrivate(path: string, text: string): void {
  const folder = dirname(path);
  const draft = join(folder, `.${process.pid}-${performance.now()}.tmp`);
  try {
    const fd = openSync(draft, "wx", 0o600);
    try {
      writeFileSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(draft, path);
  } catch (error) {
    removeIfThere(draft);
    throw error;
  }
  syncFolder(folder);
}

/** Gives a file another name, in one step that survives a loss of power; what had that name is gone. */
export function movePrivate(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
}

/** Removes a file for good; false where there was none. */
export function removePrivate(path: string): boolean {
  const there = removeIfThere(path);
  if (there) syncFolder(dirname(path));
  return there;
}

/** Makes a folder that only the user can enter, or checks that the one that is there is such. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  checkPrivateFolder(path);
}

/** Refuses a folder that others can enter; one that does not exist is fine. */
export function checkPrivateFolder(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory()) throw new TockError("io", `${path}: expected a folder`);
  assertPrivate(path, stats, "700");
}

function assertPrivate(path: string, stats: Stats, mode: string): void {
  if (!isPosix) return;
  if (stats.uid !== process.geteuid?.()) {
    const hint = "use it as its owner, or set TOCK_HOME to a folder of your own";
    throw new TockError("permission", `${path}: it belongs to another user (uid ${stats.uid})`, hint);
  }
  const found = stats.mode & 0o777;
  if ((found & 0o077) !== 0) {
    const message = `${path}: expected mode 0${mode}, since it guards secrets, got 0${found.toString(8)}`;
    throw new TockError("permission", message, `chmod ${mode} ${path}`);
  }
}

function openExisting(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | NO_FOLLOW);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === "ELOOP") throw new TockError("permission", `${path}: expected a file, got a symbolic link`);
    throw error;
  }
}

function removeIfThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Makes a rename durable. Windows cannot, and need not: NTFS journals it. */
function syncFolder(folder: string): void {
  if (!isPosix) return;
  const fd = openSync(folder, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
