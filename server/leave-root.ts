import { constants, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Settings } from "./config/settings.ts";
import { runCommand } from "./firewall/command.ts";
import { firstThere, handOver, holdsOnlySockets, may } from "./hand-over.ts";
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
  const obstacle = whyNot(() => {
    if (!mayChangeUser()) return "it has no CAP_SETUID and CAP_SETGID";
    return obstacleFor(identity, settings, file) ?? handOver(identity, settings, file, log);
  });
  if (obstacle !== undefined) {
    log.warn({ reason: obstacle }, `runs as root: it cannot be user ${name}`);
    return;
  }
  const { onGrant, onClose, onAlarm, user } = settings.hooks;
  if (user !== name && [onGrant, onClose, onAlarm].some((hook) => hook !== undefined)) {
    log.warn(
      { hint: '[server] user = "root" would keep them apart' },
      `hooks run as ${name}, not as ${user}`,
    );
  }
  startAgainAs(identity);
}

/** Why this user could not do the daemon's work, once everything is handed over; undefined = he can. */
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
    [firstThere(dirname(file)), X_OK],
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

/** What stops it, be it an error: a container may allow less than it says. */
function whyNot(prepare: () => string | undefined): string | undefined {
  try {
    return prepare();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
