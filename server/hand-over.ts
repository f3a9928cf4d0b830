import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { viewSocket } from "./admin/methods.ts";
import { loadSettings } from "./config/load.ts";
import type { Settings } from "./config/settings.ts";
import type { Log } from "./log.ts";
import { isRootsAlone, OTHERS_WRITE } from "./sys/roots-alone.ts";
import { askingAs, type Identity } from "./sys/privileges.ts";

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, R_OK } = constants;

/**
 * Gives the user what an earlier daemon, or `tockd init`, has left to root, and says what it changes. Where somebody else could
 * exchange one of those files meanwhile it gives nothing, and returns why.
 */
export function handOver(
  identity: Identity,
  { server }: Settings,
  file: string,
  log: Log,
): string | undefined {
  const { name, uid, gid } = identity;
  const mayRead = askingAs(identity, () => may(file, R_OK));
  // What cannot be used may be anything: it stays as it is, and the last good configuration is the user's own.
  const configuration = mayRead || !loadSettings(file).ok ? undefined : realpathSync(file);
  const socketFolder = holdsOnlySockets(server.socket) ? dirname(server.socket) : undefined;
  const isRoots = statSync(server.state, { throwIfNoEntry: false })?.uid === 0;
  const state = isRoots ? realpathSync(server.state) : undefined;
  const place = socketFolder === undefined ? undefined : realpathSync(firstThere(socketFolder));
  const given = [configuration, place, state];
  const loose = given.find((path) => path !== undefined && !isRootsAlone(path));
  if (loose !== undefined) return `others than root could change ${loose}`;

  // What may be read only comes first: where that fails the rest is as it was.
  if (configuration !== undefined) {
    withFile(configuration, O_RDONLY, (descriptor) => {
      fchownSync(descriptor, 0, gid);
      fchmodSync(descriptor, (fstatSync(descriptor).mode & 0o7777) | 0o040);
    });
    log.info({ file }, `group ${gid} may read the configuration from now on`);
  }
  if (socketFolder !== undefined) {
    mkdirSync(socketFolder, { recursive: true });
    withFile(socketFolder, O_RDONLY | O_DIRECTORY, (descriptor) => {
      fchmodSync(descriptor, 0o755);
      fchownSync(descriptor, uid, gid);
    });
  }
  if (state === undefined) return undefined;
  // Nobody but root can change anything in here until the last line.
  for (const entry of readdirSync(state)) {
    const path = join(state, entry);
    const stat = lstatSync(path);
    if (stat.isFile() && stat.nlink === 1) lchownSync(path, uid, gid);
  }
  lchownSync(state, uid, gid);
  log.info({ folder: server.state }, `the state folder is user ${name}'s from now on`);
  return undefined;
}

export function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** Whether the folder of the socket is missing, or root's and made for nothing but Tock's sockets. */
export function holdsOnlySockets(socket: string): boolean {
  const folder = dirname(socket);
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return true;
  // One that others write to, such as /tmp, is for all.
  if (!found.isDirectory() || found.uid !== 0 || (found.mode & OTHERS_WRITE) !== 0) return false;
  const own = new Set([socket, viewSocket(socket)]);
  return readdirSync(folder).every((name) => own.has(join(folder, name)));
}

/** The folder, or the nearest one above it that exists. */
export function firstThere(folder: string): string {
  return statSync(folder, { throwIfNoEntry: false }) === undefined ? firstThere(dirname(folder)) : folder;
}

function withFile(path: string, flags: number, body: (descriptor: number) => void): void {
  const descriptor = openSync(path, flags | O_NOFOLLOW);
  try {
    body(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
