import {
  accessSync,
  chmodSync,
  chownSync,
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
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { viewSocket } from "./admin/methods.ts";
import type { Settings } from "./config/settings.ts";
import { runCommand } from "./firewall/command.ts";
import type { Log } from "./log.ts";
import { userIds } from "./sys/accounts.ts";
import { askingAs, type Identity, mayChangeUser, startAgainAs } from "./sys/privileges.ts";

const { R_OK, W_OK, X_OK } = constants;
/** Below it a port is for root, where the machine says nothing else. */
const FIRST_FREE_PORT = 1024;
const XTABLES_LOCK = "/run/xtables.lock";

/**
 * A daemon that is started as root starts again as the configured user. Where something is in the way it says what and
 * goes on as root: to open for nobody would be worse. Returns where it stays who it is.
 */
export function leaveRoot(settings: Settings, file: string, log: Log): void {
  const name = settings.server.user;
  if (process.geteuid?.() !== 0 || name === "root") return;
  const ids = userIds(name);
  if (ids === undefined || ids.uid === 0) {
    const hint = `make one: useradd --system --user-group --shell /usr/sbin/nologin ${name}; or say [server] user = "root"`;
    log.warn({ hint }, `runs as root: there is no user ${name}`);
    return;
  }
  const identity = { name, ...ids };
  const obstacle = mayChangeUser()
    ? obstacleFor(identity, settings, file)
    : "it has no CAP_SETUID and CAP_SETGID";
  if (obstacle !== undefined) {
    log.warn({ reason: obstacle }, `runs as root: it cannot be user ${name}`);
    return;
  }
  handOver(identity, settings, file, log);
  const { onGrant, onClose, onAlarm, user } = settings.hooks;
  if (user !== name && [onGrant, onClose, onAlarm].some((hook) => hook !== undefined)) {
    log.warn(
      { hint: '[server] user = "root" would keep them apart' },
      `hooks run as ${name}, not as ${user}`,
    );
  }
  startAgainAs(identity);
}

/** Why this user could not do the daemon's work, after {@link handOver}; undefined = he can. */
function obstacleFor(identity: Identity, settings: Settings, file: string): string | undefined {
  const { server, firewall, metrics } = settings;
  const program = process.argv[1] ?? process.execPath;
  const socketFolder = dirname(server.socket);
  const isOurs = holdsOnlySockets(server.socket);
  const { uid } = statSync(server.state, { throwIfNoEntry: false }) ?? { uid: 0 };
  if (uid !== 0 && uid !== identity.uid) return `${server.state} belongs to user ${uid}`;
  const needs: readonly (readonly [path: string, mode: number])[] = [
    [process.execPath, X_OK],
    [program, R_OK],
    [dirname(file), X_OK],
    [dirname(server.state), X_OK],
    isOurs ? [firstThere(dirname(socketFolder)), X_OK] : [socketFolder, W_OK | X_OK],
  ];
  const barred = askingAs(identity, () => needs.find(([path, mode]) => !may(path, mode)));
  if (barred !== undefined) return `${barred[0]} is not for it to ${barred[1] === R_OK ? "read" : "use"}`;
  if (metrics.listen !== undefined && metrics.listen.port < FIRST_FREE_PORT) {
    return `port ${metrics.listen.port} of [metrics] listen is for root`;
  }
  if (firewall.backend !== "iptables") return undefined;
  if (server.engine === "kernel")
    return "the kernel engine of the iptables backend writes lists that are root's";
  const version = runCommand(["iptables", "-V"], () => undefined, "", "look");
  const isLegacy = version.ok && version.value.includes("legacy");
  if (!isLegacy || askingAs(identity, () => may(XTABLES_LOCK, R_OK))) return undefined;
  return `iptables-legacy needs ${XTABLES_LOCK}, which is root's; take iptables-nft or the nftables backend`;
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** Whether the folder of the socket is missing, or root's and made for nothing but Tock's sockets. */
function holdsOnlySockets(socket: string): boolean {
  const folder = dirname(socket);
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found === undefined) return true;
  if (!found.isDirectory() || found.uid !== 0) return false;
  const own = new Set([socket, viewSocket(socket)]);
  return readdirSync(folder).every((name) => own.has(join(folder, name)));
}

/** The folder, or the nearest one above it that exists. */
function firstThere(folder: string): string {
  return statSync(folder, { throwIfNoEntry: false }) === undefined ? firstThere(dirname(folder)) : folder;
}

/** Gives the user what an earlier daemon, or `tockd init`, has left to root. Says what it changes. */
function handOver({ name, uid, gid }: Identity, { server }: Settings, file: string, log: Log): void {
  const state = lstatSync(server.state, { throwIfNoEntry: false });
  if (state?.isDirectory() === true && state.uid === 0 && (state.mode & 0o022) === 0) {
    log.info({ folder: server.state }, `the state folder is user ${name}'s from now on`);
    // Nobody but root can change anything in here until the last line.
    for (const entry of readdirSync(server.state)) {
      const path = join(server.state, entry);
      const stat = lstatSync(path);
      if (stat.isFile() && stat.nlink === 1) lchownSync(path, uid, gid);
    }
    lchownSync(server.state, uid, gid);
  }
  if (holdsOnlySockets(server.socket)) {
    const folder = dirname(server.socket);
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o755);
    chownSync(folder, uid, gid);
  }
  if (askingAs({ name, uid, gid }, () => may(file, R_OK))) return;
  const descriptor = openSync(file, constants.O_RDONLY);
  try {
    log.info({ file }, `group ${gid} may read the configuration from now on`);
    fchownSync(descriptor, 0, gid);
    fchmodSync(descriptor, (fstatSync(descriptor).mode & 0o7777) | 0o040);
  } finally {
    closeSync(descriptor);
  }
}
