import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Agent } from "./agent.ts";
import { type Argv, COMPILED, must, type Output, type RunOptions, run } from "./exec.ts";
import { Process } from "./process.ts";
import type { Ran } from "./secret-search.ts";

/** The two addresses of one interface. */
export interface AddressPair {
  readonly v4: string;
  readonly v6: string;
}

export type Family = 4 | 6;

/** One machine of the lab: a network namespace with an interface `eth0`, an IPv4 and an IPv6 address, and a folder. */
export class Host {
  readonly name: string;
  readonly namespace: string;
  /** Interface on the lab's wire. */
  readonly device: string;
  /** Its hardware address, lower case with colons. */
  readonly mac: string;
  readonly address: AddressPair;
  /** For whatever this host keeps: state, keys, configuration. Removed with the lab. */
  readonly folder: string;
  /** Is told of every process. */
  readonly record: (ran: Ran) => void;
  readonly #processes: Process[] = [];
  #agent: Agent | undefined;

  constructor(parts: Pick<Host, "name" | "namespace" | "device" | "mac" | "address" | "folder" | "record">) {
    this.name = parts.name;
    this.namespace = parts.namespace;
    this.device = parts.device;
    this.mac = parts.mac;
    this.address = parts.address;
    this.folder = parts.folder;
    this.record = parts.record;
  }

  /** The host's own address of one family. */
  at(family: Family): string {
    return family === 4 ? this.address.v4 : this.address.v6;
  }

  /** A path in the host's folder. */
  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** Runs a command on this host to its end. */
  run(argv: Argv, options: RunOptions = {}): Promise<Output> {
    return run(inside(this.namespace, argv), this.#options(options));
  }

  /** Like {@link run}; anything but exit code 0 throws. Gives standard output. */
  must(argv: Argv, options: RunOptions = {}): Promise<string> {
    return must(inside(this.namespace, argv), this.#options(options));
  }

  /** Starts a program that goes on running; it ends with the lab at the latest. */
  start(argv: Argv, options: Omit<RunOptions, "timeout"> = {}): Process {
    const process = new Process(inside(this.namespace, argv), this.#options(options));
    this.#processes.push(process);
    return process;
  }

  /** The host's agent, which probes, sends and listens from inside; started when first asked for. */
  async agent(): Promise<Agent> {
    this.#agent ??= new Agent(this.start(Agent.argv, { env: COMPILED }));
    await this.#agent.ready;
    return this.#agent;
  }

  /** Gives the host one more address on its interface. */
  async addAddress(address: string): Promise<void> {
    const prefix = address.includes(":") ? [`${address}/64`, "nodad"] : [`${address}/24`];
    await must(["ip", "-n", this.namespace, "addr", "add", ...prefix, "dev", this.device]);
  }

  /** Stops every process that was started on this host. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop("SIGTERM", 3_000)));
    this.#agent = undefined;
  }

  async makeFolder(): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o755 });
  }

  #options<T extends Omit<RunOptions, "timeout">>(options: T): T {
    return { ...options, record: this.record, env: { HOME: this.folder, ...options.env } };
  }
}

/** The same command inside a namespace. It gets SIGKILL when the process that asked for it dies. */
export function inside(namespace: string, argv: Argv): Argv {
  return ["ip", "netns", "exec", namespace, "setpriv", "--pdeathsig", "KILL", "--", ...argv];
}
