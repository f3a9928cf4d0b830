import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** SO_ACCEPTCON, as /proc/net/unix prints it: the socket listens. */
const LISTENS = "00010000";

/** The process that listens on a Unix socket, in this network namespace; undefined = none, or it is not for us to see. */
export function listenerOf(path: string): number | undefined {
  const inode = inodeOf(path);
  if (inode === undefined) return undefined;
  const held = `socket:[${inode}]`;
  const pids = readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name));
  const pid = pids.find((name) => descriptorsOf(name).includes(held));
  return pid === undefined ? undefined : Number(pid);
}

/** proc_pid_net(5): number, references, protocol, flags, type, state, inode, path. */
function inodeOf(path: string): string | undefined {
  for (const line of socketLines()) {
    const [, flags, inode, name] = /^\S+ \S+ \S+ (\S+) \S+ \S+ +([0-9]+) (.*)$/.exec(line) ?? [];
    if (flags === LISTENS && name === path) return inode;
  }
  return undefined;
}

function socketLines(): string[] {
  try {
    return readFileSync("/proc/net/unix", "utf8").split("\n");
  } catch {
    return []; // Hidden from this process.
  }
}

function descriptorsOf(pid: string): string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((descriptor) => linkOf(`${folder}/${descriptor}`));
  } catch {
    return []; // It has ended, or is somebody else's.
  }
}

function linkOf(path: string): string[] {
  try {
    return [readlinkSync(path)];
  } catch {
    return [];
  }
}
