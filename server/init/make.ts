import {
  chmodSync,
  closeSync,
  lchownSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { SERVER_ID_BYTES } from "../../shared/constants.ts";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import type { Settings } from "../config/settings.ts";
import { DeviceStore } from "../store/device-store.ts";
import { initialiseJournal } from "../store/journal.ts";
import { journalFile, storeFile } from "../store/state-folder.ts";
import { groupId, userIds } from "../sys/accounts.ts";

/** The user and group that the package makes for the daemon. */
const DAEMON = "tock";

/** Makes everything or, where something fails, takes back what was made. `text` undefined: the file is there already. */
export function makeAll(
  file: string,
  text: string | undefined,
  { server }: Settings,
  random: (bytes: number) => Uint8Array,
): void {
  const { state } = server;
  const undo: (() => void)[] = [];
  try {
    if (makeFolder(state, 0o700)) {
      undo.push(() => rmdirSync(state));
      giveToDaemon(state);
    }
    const identity = { id: random(SERVER_ID_BYTES), key: new Secret(random(32)) };
    const store = unwrap(DeviceStore.create(state, identity));
    undo.push(() => rmSync(storeFile(state)));
    store.close();
    unwrap(initialiseJournal(journalFile(state), identity.id));
    undo.push(() => rmSync(journalFile(state)));
    giveToOwnerOf(state, journalFile(state));
    if (text === undefined) return;
    makeFolder(dirname(file), 0o755);
    closeSync(openSync(file, "wx", 0o640));
    undo.push(() => rmSync(file));
    writeFileSync(file, text);
    const group = groupId(DAEMON);
    if (process.geteuid?.() === 0 && group !== undefined) lchownSync(file, 0, group);
  } catch (error) {
    for (const step of undo.toReversed()) step();
    const { code, path, message } = error as NodeJS.ErrnoException;
    if (error instanceof TockError || code === undefined) throw error;
    const what = `${path ?? file}: cannot be made: ${code}`;
    throw new TockError(code === "EACCES" ? "permission" : "io", what, message);
  }
}

/** Where the package has made a user for the daemon, the state is that user's. */
function giveToDaemon(folder: string): void {
  const ids = userIds(DAEMON);
  if (process.geteuid?.() === 0 && ids !== undefined) lchownSync(folder, ids.uid, ids.gid);
}

/** What root makes in the folder of the daemon's user is the daemon's. */
function giveToOwnerOf(folder: string, file: string): void {
  const { uid, gid } = statSync(folder);
  if (process.geteuid?.() === 0) lchownSync(file, uid, gid);
}

/** Whether it was made now; one that is there stays as it is. */
function makeFolder(folder: string, mode: number): boolean {
  if (mkdirSync(folder, { recursive: true, mode }) === undefined) return false;
  chmodSync(folder, mode);
  return true;
}
