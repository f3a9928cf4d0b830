import { TockError } from "../shared/errors.ts";

/** How long to wait for another process that is in the middle of a change. Changes take milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * Runs `change` while no other tock process runs one under the same lock file. SQLite does the locking, since it is
 * part of Node, knows how on every platform, and the kernel lets go of its locks when a process dies: a lock file that
 * is left behind locks nothing. `change` must not wait for anything.
 */
export async function withLock<T>(file: string, change: () => T): Promise<T> {
  const { DatabaseSync } = await quietly(() => import("node:sqlite"));
  const lock = new DatabaseSync(file, { timeout: PATIENCE_MS });
  try {
    try {
      lock.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      throw new TockError("io", `${file}: another tock process holds the lock (${(error as Error).message})`);
    }
    return change();
  } finally {
    lock.close();
  }
}

/** Node before 26 warns that the module is experimental, which is nothing that the user could do anything about. */
async function quietly<T>(load: () => Promise<T>): Promise<T> {
  const original = Object.getOwnPropertyDescriptor(process, "emitWarning");
  Object.defineProperty(process, "emitWarning", {
    value: () => undefined,
    configurable: true,
    writable: true,
  });
  try {
    return await load();
  } finally {
    if (original === undefined) Reflect.deleteProperty(process, "emitWarning");
    else Object.defineProperty(process, "emitWarning", original);
  }
}
