import { type Argv, type Output, type RunOptions, run } from "../exec.ts";
import type { Host } from "../host.ts";
import type { Process } from "../process.ts";
import { eventually } from "../wait.ts";

/** What programs that manage firewalls write to: each machine has a copy of these folders, or begins with an empty one. */
const COPIED = ["/etc/alternatives", "/etc/default", "/etc/fail2ban", "/etc/firewalld", "/etc/ufw"];
const EMPTY = ["/run", "/var/log", "/var/lib/fail2ban"];

/**
 * A host whose /etc and /run are its own as far as firewalls go, so that ufw, firewalld, fail2ban or Docker can run there as they
 * would on a machine of theirs. Their daemons live in a process namespace that ends with the machine, whatever they have started.
 */
export class FirewallMachine {
  readonly host: Host;
  readonly #holder: Process;

  private constructor(host: Host, holder: Process) {
    this.host = host;
    this.#holder = holder;
  }

  /** `legacy`: `iptables` and its kin are those of iptables-legacy, as after `update-alternatives --set`. */
  static async create(host: Host, { legacy = false } = {}): Promise<FirewallMachine> {
    const own = host.path("own");
    const programs = ["iptables", "ip6tables"].flatMap((name) =>
      ["", "-save", "-restore"].map((end) => [name, end]),
    );
    const script = [
      "set -e",
      ...COPIED.flatMap((path) => [`mkdir -p ${own}${path}`, `cp -a ${path}/. ${own}${path}`]),
      ...COPIED.map((path) => `mount --bind ${own}${path} ${path}`),
      ...EMPTY.map((path) => `mount -t tmpfs -o mode=755 tmpfs ${path}`),
      ...(legacy ? programs : []).map(
        ([name, end]) => `ln -sf /usr/sbin/${name}-legacy${end} /etc/alternatives/${name}${end}`,
      ),
      "echo made",
      "exec sleep infinity",
    ];
    const unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child"] as const;
    const holder = host.start([...unshare, "sh", "-c", script.join("\n")]);
    await holder.waitFor(/made/);
    return new FirewallMachine(host, holder);
  }

  /** A process whose mount namespace is this machine's. */
  get pid(): number {
    return this.#holder.pid;
  }

  run(argv: Argv, options?: RunOptions): Promise<Output> {
    return this.host.run(this.#within(argv), options);
  }

  must(argv: Argv, options?: RunOptions): Promise<string> {
    return this.host.must(this.#within(argv), options);
  }

  /** Runs a shell script; the first command that fails throws. */
  sh(script: string, options?: RunOptions): Promise<string> {
    return this.must(["sh", "-ec", script], options);
  }

  /** Starts a daemon, with a /proc of its own. `before` is run first, in its mount namespace. */
  start(argv: Argv, before = ""): Process {
    const space = `--pid=/proc/${this.pid}/ns/pid_for_children`;
    const script = `mount -t proc proc /proc\n${before}\nexec "$@"`;
    return this.host.start(
      this.#within(["nsenter", space, "--", "unshare", "--mount", "sh", "-ec", script, "sh", ...argv]),
    );
  }

  #within(argv: Argv): Argv {
    return ["nsenter", "--target", String(this.pid), "--mount", "--", ...argv];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder.stop("SIGKILL");
    await this.#removeGroups();
  }

  /** Control groups of this name, which Docker's are in, stay when their processes are gone. */
  async #removeGroups(): Promise<void> {
    const branch = `/mnt/${this.host.namespace}`;
    const script = `mount -t cgroup2 cgroup2 /mnt && { [ ! -e ${branch} ] || find ${branch} -depth -type d -exec rmdir {} +; }`;
    const isGone = async (): Promise<boolean> =>
      (await run(["unshare", "--mount", "sh", "-c", script])).code === 0;
    await eventually("its control groups are empty", isGone);
  }
}
