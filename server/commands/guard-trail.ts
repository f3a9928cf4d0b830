import { closeSync, constants, fchownSync, fstatSync, openSync } from "node:fs";
import type { AuditEvent } from "../core/event.ts";
import { AuditTrail } from "../store/audit-trail.ts";
import { codeOf } from "../store/journal-io.ts";
import { checkStateFile, checkStateFolder, journalFile } from "../store/state-folder.ts";
import { headFile, trailFile } from "../store/trail-file.ts";
import { flock } from "../sys/libc.ts";
import type { Ui } from "../ui.ts";

const { O_NOFOLLOW, O_RDONLY } = constants;

/**
 * Writes into the audit trail what was done about the guard without a daemon. One that lives, be it hung, holds its journal, and is
 * alone in writing. What goes wrong here is a warning: the guard is as it was asked for.
 */
export async function writeAlone(state: string, events: readonly AuditEvent[], ui: Ui): Promise<void> {
  if (events.length === 0) return;
  try {
    const folder = checkStateFolder(state);
    if (!folder.ok && folder.error.code === "not-found") return;
    if (!folder.ok) throw folder.error;
    const lock = lockOf(state);
    if (lock === "held") return;
    try {
      await append(state, events, folder.value, (message) => ui.note(`tock: warning: ${message}\n`));
    } finally {
      if (lock !== undefined) closeSync(lock);
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    ui.note(`tock: warning: the audit trail has no line of this: ${error.message}\n`);
  }
}

/** The lock of the daemon, which ends when the file is closed; undefined = no daemon has run here yet. */
function lockOf(state: string): number | "held" | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(journalFile(state), O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
  if (flock(descriptor) === 0) return descriptor;
  closeSync(descriptor);
  return "held";
}

async function append(
  folder: string,
  events: readonly AuditEvent[],
  owner: { readonly uid: number; readonly gid: number },
  tell: (message: string) => void,
): Promise<void> {
  const files = [trailFile(folder, 0), headFile(folder)];
  for (const file of files) {
    const checked = checkStateFile(file);
    if (!checked.ok && checked.error.code !== "not-found") throw checked.error;
  }
  const trail = new AuditTrail({ folder, now: Date.now, tell });
  for (const event of events) trail.append({ ...event });
  await trail.close();
  for (const file of files) giveBack(file, owner);
}

/** What root has made is the daemon's. */
function giveBack(file: string, { uid, gid }: { readonly uid: number; readonly gid: number }): void {
  let descriptor: number;
  try {
    descriptor = openSync(file, O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return; // It could not be written, which was told.
    throw error;
  }
  try {
    const stat = fstatSync(descriptor);
    if (stat.isFile() && stat.nlink === 1 && stat.uid !== uid) fchownSync(descriptor, uid, gid);
  } finally {
    closeSync(descriptor);
  }
}
