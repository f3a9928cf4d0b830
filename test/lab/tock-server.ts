import { writeFile } from "node:fs/promises";
import { stringify, type TomlTable } from "smol-toml";
import type { Argv, Output } from "./exec.ts";
import type { Host } from "./host.ts";
import type { Process } from "./process.ts";
import { DAEMON_FOLDERS, REPOSITORY, tock, tockd } from "./programs.ts";
import { eventually } from "./wait.ts";

export const BACKENDS = ["iptables", "nftables"] as const;
export type Backend = (typeof BACKENDS)[number];

export interface ServerSetup {
  readonly backend?: Backend;
  /** `[services.NAME]`; by default ssh on tcp/22. */
  readonly services?: Readonly<Record<string, TomlTable>>;
  /** `[users.NAME]`; a user without services gets all of them. By default alice, who may knock. */
  readonly users?: Readonly<Record<string, TomlTable>>;
  /** Any other table, and more keys of `[server]`. */
  readonly tables?: Readonly<Record<string, TomlTable>>;
  /** Makes the state folder a disk of this size ("8M"), which can be filled; seen only by this server's processes. */
  readonly disk?: string;
  /** The state folder of a server that has ended: this one goes on with it. */
  readonly state?: string;
  /** A process whose mount namespace this server's commands run in. */
  readonly room?: number;
  /** Whom the daemon becomes: it then runs from a copy of the tree that this user can read, whatever the tree's own place. */
  readonly user?: string;
  /** Makes the environment of the daemon and of its commands. */
  readonly env?: (host: Host) => Promise<Record<string, string>>;
}

/** tockd on a host of the lab: its configuration, its commands and the running daemon. */
export class TockServer {
  readonly host: Host;
  readonly config: string;
  readonly state: string;
  #env: Record<string, string> = {};
  /** A process whose mount namespace is the server's: there the state folder is a disk of its own, or the tree is for all to read. */
  #room: number | undefined;
  #tree: string | undefined;
  #process: Process | undefined;

  private constructor(host: Host, state = host.path("state")) {
    this.host = host;
    this.config = host.path("tockd.toml");
    this.state = state;
  }

  /** Makes the server's identity, writes the configuration and puts the guard on. The daemon is not started yet. */
  static async create(host: Host, setup: ServerSetup = {}): Promise<TockServer> {
    const server = new TockServer(host, setup.state);
    server.#env = (await setup.env?.(host)) ?? {};
    server.#room = setup.room;
    if (setup.disk !== undefined) await server.#mountDisk(setup.disk);
    if (setup.user !== undefined) await server.#mountTree();
    const flags = [
      "--state",
      server.state,
      "--socket",
      host.path("tockd.sock"),
      "--address",
      host.address.v4,
    ];
    if (setup.state === undefined) await server.must("init", ...flags);
    await server.configure(setup);
    await server.must("guard", "on");
    return server;
  }

  /** Writes another configuration; a running daemon does not notice by itself. */
  async configure(setup: ServerSetup): Promise<void> {
    const services = setup.services ?? { ssh: { ports: ["tcp/22"] } };
    const users = Object.entries(setup.users ?? { alice: { knock: true } });
    const all = Object.keys(services);
    const text = stringify({
      ...setup.tables,
      server: {
        name: "server",
        addresses: [this.host.address.v4, this.host.address.v6],
        state: this.state,
        // A user of its own needs a folder of its own.
        socket: this.host.path(...(setup.user === undefined ? [] : ["run"]), "tockd.sock"),
        ...(setup.user !== undefined && { user: setup.user }),
        ...setup.tables?.["server"],
      },
      firewall: { backend: setup.backend ?? "iptables", ...setup.tables?.["firewall"] },
      services,
      users: Object.fromEntries(users.map(([name, user]) => [name, { services: all, ...user }])),
    });
    await writeFile(this.config, text, { mode: 0o600 });
  }

  /** Runs a command of tockd with this server's configuration. */
  command(...args: string[]): Promise<Output> {
    return this.host.run(this.#where(tockd(...args, "--config", this.config)), {
      env: this.#env,
      timeout: 60_000,
    });
  }

  /** Like {@link command}; anything but exit code 0 throws. Gives standard output. */
  async must(...args: string[]): Promise<string> {
    return await this.host.must(this.#where(tockd(...args, "--config", this.config)), {
      env: this.#env,
      timeout: 60_000,
    });
  }

  /** Starts the daemon and waits until it answers. */
  async start(): Promise<Process> {
    const process = this.launch();
    await process.waitFor(/ready/, 60_000);
    return process;
  }

  /** Starts the daemon and does not wait. */
  launch(): Process {
    this.#process = this.host.start(this.runArgv, { env: this.#env });
    return this.#process;
  }

  /** How the daemon is started. */
  get runArgv(): Argv {
    const argv = tockd("run", "--config", this.config);
    return this.#where(this.#tree === undefined ? argv : readable(argv, this.#tree));
  }

  /** Runs a command that sees the daemon's own disk (see {@link ServerSetup.disk}). */
  async inside(argv: Argv): Promise<string> {
    return await this.host.must(this.#where(argv));
  }

  get process(): Process {
    if (this.#process === undefined) throw new Error("tockd was not started");
    return this.#process;
  }

  /** Ends the daemon (the guard stays). */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.process.stop(signal);
  }

  async restart(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  /** What the daemon logged, one object a line; lines that are not JSON are left out. */
  log(): Record<string, unknown>[] {
    const lines = this.process.stdout.split("\n").filter((line) => /^\{.*\}$/.test(line));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Waits for a log line with this message and these fields. */
  async logged(message: string, fields: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const fits = (line: Record<string, unknown>): boolean =>
      line["msg"] === message && Object.entries(fields).every(([key, value]) => line[key] === value);
    await eventually(`the log says ${message} ${JSON.stringify(fields)}`, () => this.log().some(fits));
  }

  /** Adds a device and gives its enrolment link. */
  async addDevice(id: string, ...flags: string[]): Promise<string> {
    const output = await this.must("device", "add", id, "--link", ...flags);
    const link = /tock:\/\/enroll\/1#\S+/.exec(output)?.[0];
    if (link === undefined) throw new Error(`no link in: ${output}`);
    return link;
  }

  async #mountDisk(size: string): Promise<void> {
    const script = `mkdir ${this.state} && mount -t tmpfs -o size=${size},mode=700 tmpfs ${this.state} && echo mounted`;
    await this.#enter(`${script} && exec sleep infinity`);
  }

  async #mountTree(): Promise<void> {
    const tree = this.host.path("tree");
    const mounts = DAEMON_FOLDERS.map(
      (part) => `mkdir -p ${tree}/${part} && mount --bind ${REPOSITORY}${part} ${tree}/${part}`,
    );
    const script = [...mounts, `cp ${REPOSITORY}package.json ${tree}`, "echo mounted", "exec sleep infinity"];
    await this.#enter(script.join(" && "));
    this.#tree = `${tree}/`;
  }

  /** Commands run from now on where this script has mounted something; it goes on for as long as that is there. */
  async #enter(script: string): Promise<void> {
    const holder = this.host.start(["sh", "-c", script]);
    await holder.waitFor(/mounted/);
    this.#room = holder.pid;
  }

  #where(argv: Argv): Argv {
    if (this.#room === undefined) return argv;
    return ["nsenter", "--target", String(this.#room), "--mount", "--", ...argv];
  }

  /** Adds a device and enrols it on a client host. The profile is called `server`. */
  async enrol(client: Host, id: string, ...flags: string[]): Promise<void> {
    const link = await this.addDevice(id, ...flags);
    await client.must(tock("enroll", "-"), { input: `${link}\n` });
  }
}

/** The same command from a copy of the repository. */
function readable([program, ...args]: Argv, tree: string): Argv {
  const moved = (path: string): string => path.replace(REPOSITORY, tree);
  return [moved(program), ...args.map(moved)];
}
