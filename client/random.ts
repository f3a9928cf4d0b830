import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

const DEVICE = "/dev/urandom";

/**
 * Random bytes from the kernel's generator. Where it is a file it is read as one: to load node:crypto takes longer than
 * everything else that opening a door does. What cannot be had is an error, never fewer or other bytes.
 */
export function randomBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (process.platform === "win32" || !fill(bytes)) crypto.getRandomValues(bytes);
  return bytes;
}

/** False where there is no such device. */
function fill(bytes: Uint8Array): boolean {
  const fd = openDevice();
  if (fd === undefined) return false;
  try {
    for (let at = 0; at < bytes.length; ) {
      const count = readSync(fd, bytes, at, bytes.length - at, null);
      if (count === 0) throw new Error(`${DEVICE} came to an end`);
      at += count;
    }
    return true;
  } finally {
    closeSync(fd);
  }
}

function openDevice(): number | undefined {
  try {
    const fd = openSync(DEVICE, constants.O_RDONLY | constants.O_NOFOLLOW);
    if (fstatSync(fd).isCharacterDevice()) return fd;
    closeSync(fd);
  } catch {
    // There is none; the caller has another way.
  }
  return undefined;
}
