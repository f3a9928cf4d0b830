import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { fromHex } from "../../shared/bytes.ts";

const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** The kernel's boot id, 16 bytes. Where it cannot be read each start counts as a boot of its own. */
export function readBootId(path = BOOT_ID): Uint8Array {
  try {
    const bytes = fromHex(readFileSync(path, "latin1").trim().replaceAll("-", ""));
    if (bytes?.length === 16) return bytes;
  } catch {
    // Told by the bytes below.
  }
  return Uint8Array.from(randomBytes(16));
}

/** Writes the whole of `bytes` at a position; throws the system's error. */
export function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    const written = writeSync(fd, bytes, done, bytes.length - done, position + done);
    if (written === 0) throw Object.assign(new Error("nothing was written"), { code: "EIO" });
    done += written;
  }
}

/**
 * Makes a file of mode 0600 so that it is there whole or not at all, even after a loss of power, and gives it open and
 * locked. `how`: "new" fails with EEXIST where something is at `path`; "over" takes its place. Throws the system's
 * error, with nothing changed.
 */
export function putFile(
  path: string,
  how: "new" | "over",
  lock: (fd: number) => boolean,
  contents: (inode: bigint) => Buffer,
): number {
  const draft = `${path}.${randomBytes(6).toString("hex")}`;
  const fd = openSync(draft, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    giveToOwnerOf(dirname(path), fd);
    if (!lock(fd)) throw Object.assign(new Error("locked"), { code: "EWOULDBLOCK" });
    writeAll(fd, contents(fstatSync(fd, { bigint: true }).ino), 0);
    fsyncSync(fd);
    if (how === "new") linkSync(draft, path);
    else renameSync(draft, path);
    syncFolder(dirname(path));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** What root makes in the folder of the daemon's user is the daemon's. */
function giveToOwnerOf(folder: string, fd: number): void {
  const { uid, gid } = statSync(folder);
  if (process.geteuid?.() === 0) fchownSync(fd, uid, gid);
}

function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The code of a system error, such as ENOSPC. */
export function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  if (typeof code === "string") return code;
  throw error;
}
