import koffi from "koffi";

// sys/file.h
const LOCK_EX = 2;
const LOCK_NB = 4;

const flock = koffi.load(null).func("int flock(int fd, int operation)") as (
  fd: number,
  operation: number,
) => number;

/**
 * Locks an open file for this process alone (flock(2)), without waiting. False where another process holds it. The
 * kernel lets go of it when the descriptor is closed, however the process ends.
 */
export function lockFile(fd: number): boolean {
  return flock(fd, LOCK_EX | LOCK_NB) === 0;
}
