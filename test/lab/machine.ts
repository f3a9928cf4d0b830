import { readFileSync, rmSync } from "node:fs";
import { type Argv, must, type Output, type RunOptions, run } from "./exec.ts";
import type { Host } from "./host.ts";
import type { Process } from "./process.ts";
import { eventually } from "./wait.ts";

/**
 * Starts systemd as process 1 of the Debian in a folder, in namespaces of its own. What belongs to the whole kernel is
 * read only: no setting of the machine that the tests run on is changed.
 */
const BOOT = `set -e
mkdir -p "$CGROUPS"; mount -t cgroup2 none "$CGROUPS"; mkdir -p "$CGROUPS/$NAME"; echo $$ > "$CGROUPS/$NAME/cgroup.procs"
exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child --propagation private sh -ec '
  mount --bind "$ROOT" "$ROOT"; cd "$ROOT"
  mount -t proc proc proc; mount --bind proc/sys proc/sys; mount -o remount,bind,ro proc/sys
  mount -t sysfs sysfs sys; mount -o remount,bind,ro sys; mount -t cgroup2 cgroup2 sys/fs/cgroup
  mount -t tmpfs tmpfs run; mount -t tmpfs -o mode=755 tmpfs dev
  mkdir dev/pts dev/shm; mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts; ln -s pts/ptmx dev/ptmx
  for node in null zero full random urandom tty; do touch dev/$node; mount --bind /dev/$node dev/$node; done
  mkdir run/before; pivot_root . run/before; cd /; umount -l run/before
  exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
'`;

/** Why no machine can be booted here, if so. */
export async function bootLack(): Promise<string | undefined> {
  const mounted = await run(["unshare", "--mount", "mount", "-t", "cgroup2", "none", "/mnt"]);
  return mounted.code === 0 ? undefined : `no cgroup2 here: ${mounted.stderr.trim()}`;
}

/** A Debian with systemd that was booted on a host of the lab: it has the host's network. */
export class Machine {
  readonly #host: Host;
  readonly #root: string;
  #process: Process | undefined;
  #init = 0;

  constructor(host: Host, root: string) {
    this.#host = host;
    this.#root = root;
  }

  /** Boots, and waits until the commands of systemd are answered. Units may still be starting. */
  async boot(): Promise<void> {
    const name = this.#host.namespace;
    const env = { ROOT: this.#root, CGROUPS: this.#host.path("cgroups"), NAME: name };
    const process = this.#host.start(["sh", "-c", BOOT], { env });
    this.#process = process;
    await eventually("process 1 is systemd", () => {
      if (!process.running) throw new Error(`it did not boot: ${process.stderr}`);
      this.#init = childOf(process.pid);
      return this.#init > 0 && commandOf(this.#init) === "systemd";
    });
    await eventually("systemd answers", async () => (await this.run("systemctl", "list-jobs")).code === 0);
  }

  /** A command inside; the end of the machine is its end. */
  argv(...argv: string[]): Argv {
    const env = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"];
    return ["nsenter", "--target", String(this.#init), "--all", ...env, ...argv];
  }

  run(...argv: string[]): Promise<Output> {
    return run(this.argv(...argv), { timeout: 120_000 });
  }

  must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return must(this.argv(...argv), { timeout: 120_000, ...options });
  }

  /** One property of a unit. */
  async show(unit: string, property: string): Promise<string> {
    return (await this.must(["systemctl", "show", "-P", property, unit])).trim();
  }

  async isActive(unit: string): Promise<boolean> {
    return (await this.run("systemctl", "is-active", unit)).stdout === "active\n";
  }

  /** Shuts down in order, as for a reboot. */
  async shutDown(): Promise<void> {
    await this.run("systemctl", "--no-block", "poweroff");
    await this.#process?.exited;
  }

  /** Pulls the plug. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process?.running === true) await this.#process.stop("SIGKILL");
    const folder = this.#host.path("cgroups");
    const all = `mount -t cgroup2 none ${folder} && find ${folder}/${this.#host.namespace} -depth -type d -exec rmdir {} +`;
    await run(["unshare", "--mount", "sh", "-c", all]);
    rmSync(folder, { recursive: true, force: true });
  }
}

function childOf(pid: number): number {
  return Number(read(`/proc/${pid}/task/${pid}/children`).trim().split(" ")[0] ?? 0);
}

function commandOf(pid: number): string {
  return read(`/proc/${pid}/comm`).trim();
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
