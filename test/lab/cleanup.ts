import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Everything that a lab makes carries one name, `tock-<pid>-<start>-<random>`: its namespaces (`<name>-<role>`) and its
 * folder. `start` is the owner's start time, so that a pid used again does not shield what a dead owner left behind.
 */
const NAME = /^tock-([0-9]+)-([0-9a-z]+)-[0-9a-f]{6}(-|$)/;
const NAMESPACES = "/run/netns";
const live = new Set<string>();
let hooked = false;

/** A name that no other lab has. What it names is removed when this process ends, however it ends. */
export function claimName(): string {
  if (!hooked) hookExit();
  const name = `tock-${process.pid}-${startOf(process.pid)}-${randomBytes(3).toString("hex")}`;
  live.add(name);
  return name;
}

/** The folder that belongs to a name; the lab makes it. */
export function folderOf(name: string): string {
  return join(tmpdir(), name);
}

/** Ends every process in the name's namespaces, removes the namespaces and the folder. Again does no harm. */
export function removeAll(name: string): void {
  live.delete(name);
  for (const namespace of namespacesOf(name)) {
    killMembers(namespace);
    quietly("ip", ["netns", "del", namespace]);
  }
  unmountBelow(folderOf(name));
  rmSync(folderOf(name), { recursive: true, force: true, maxRetries: 3 });
}

/** A test that died may have left a file system mounted in its folder; what is in that is not ours to remove. */
function unmountBelow(folder: string): void {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(`${folder}/`));
  for (const path of mounts.toReversed()) quietly("umount", ["--lazy", path]);
}

/** Removes what owners that are dead by now have left. Gives the names found. */
export function sweep(): string[] {
  const found = new Set<string>();
  for (const entry of [...list(NAMESPACES), ...list(tmpdir())]) {
    const [, pid, start] = NAME.exec(entry) ?? [];
    if (pid !== undefined && startOf(Number(pid)) !== start)
      found.add(entry.split("-").slice(0, 4).join("-"));
  }
  for (const name of found) {
    try {
      removeAll(name);
    } catch {
      // Somebody else is at it, or it cannot be removed: no reason for this lab not to be made.
    }
  }
  return [...found];
}

/** Names of the namespaces that belong to a lab and exist now. */
export function namespacesOf(name: string): string[] {
  return list(NAMESPACES).filter((entry) => entry.startsWith(`${name}-`));
}

/** Pids of the processes in a namespace. */
export function membersOf(namespace: string): number[] {
  return quietly("ip", ["netns", "pids", namespace]).split("\n").filter(Boolean).map(Number);
}

function killMembers(namespace: string): void {
  for (let round = 0; round < 5; round++) {
    const members = membersOf(namespace);
    if (members.length === 0) return;
    for (const pid of members) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended already.
      }
    }
  }
}

/** A process's start time in clock ticks after boot (proc(5), field 22 of stat), in base 36; "" when there is none. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[19]).toString(36);
  } catch {
    return "";
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function quietly(program: string, args: string[]): string {
  try {
    return execFileSync(program, args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 10_000,
    });
  } catch {
    return "";
  }
}

function hookExit(): void {
  hooked = true;
  process.once("exit", () => {
    for (const name of [...live]) removeAll(name);
  });
}
