import { readFileSync, readlinkSync } from "node:fs";

/** An SSH connection, as SSH_CONNECTION tells it. */
export interface SshSession {
  readonly client: string;
  readonly clientPort: number;
  readonly server: string;
  readonly serverPort: number;
  /** When its sshd process began, in unix milliseconds; null = this process does not descend from one. */
  readonly since: number | null;
}

type Env = Readonly<Record<string, string | undefined>>;

/** USER_HZ: 100 on every architecture that Linux runs servers on. */
const TICKS = 100;
const DAEMONS = /^(sshd|dropbear)/;

/**
 * The SSH session that this process runs in, by its environment; where sudo, su or the like took that away, by that of the
 * processes it descends from, as far as they are in the same network. Undefined = none.
 */
export function sshSession(env: Env = process.env, pid: number = process.pid): SshSession | undefined {
  const text = env["SSH_CONNECTION"] ?? ancestral(pid);
  const [client, clientPort, server, serverPort] = text?.split(" ") ?? [];
  if (client === undefined || server === undefined || !isPort(clientPort) || !isPort(serverPort))
    return undefined;
  const plain = (address: string): string => address.replace(/%.*$/, "").replace(/^::ffff:(?=[0-9.]+$)/, "");
  return {
    client: plain(client),
    clientPort: Number(clientPort),
    server: plain(server),
    serverPort: Number(serverPort),
    since: daemonSince(pid),
  };
}

function isPort(text: string | undefined): boolean {
  return text !== undefined && /^[0-9]{1,5}$/.test(text);
}

/** SSH_CONNECTION of the nearest ancestor that has one, in this process's own network namespace. */
function ancestral(pid: number): string | undefined {
  const network = networkOf(pid);
  for (const { pid: each } of ancestors(pid)) {
    if (networkOf(each) !== network) return undefined;
    const found = read(`/proc/${each}/environ`)
      ?.split("\0")
      .find((entry) => entry.startsWith("SSH_CONNECTION="));
    if (found !== undefined) return found.slice("SSH_CONNECTION=".length);
  }
  return undefined;
}

function networkOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}

function daemonSince(pid: number): number | null {
  const boot = /^btime ([0-9]+)$/m.exec(read("/proc/stat") ?? "")?.[1];
  for (const { name, started } of ancestors(pid)) {
    if (DAEMONS.test(name)) return boot === undefined ? null : Number(boot) * 1000 + (started / TICKS) * 1000;
  }
  return null;
}

/** From the process itself upwards; `started` in ticks since boot (proc_pid_stat(5), fields 2, 4 and 22). */
function* ancestors(from: number): Generator<{ pid: number; name: string; started: number }> {
  for (let pid = from; pid > 0; ) {
    const stat = read(`/proc/${pid}/stat`);
    if (stat === undefined) return;
    const end = stat.lastIndexOf(")");
    const fields = stat.slice(end + 2).split(" ");
    yield { pid, name: stat.slice(stat.indexOf("(") + 1, end), started: Number(fields[19]) };
    pid = Number(fields[1]);
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return undefined;
  }
}
