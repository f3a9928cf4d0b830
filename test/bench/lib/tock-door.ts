import { randomBytes } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { Device } from "../../lab/device.ts";
import type { Host } from "../../lab/host.ts";
import type { Process } from "../../lab/process.ts";
import { type Backend, TockServer } from "../../lab/tock-server.ts";
import { eventually } from "../../lab/wait.ts";
import { NODE, TOCKD } from "./programs.ts";

/** tockd as it is installed, on a host: its log goes to a file, as under a service manager. */
export class TockDoor {
  readonly host: Host;
  readonly backend: Backend;
  readonly server: TockServer;
  readonly #log: string;
  #process: Process | undefined;

  private constructor(host: Host, backend: Backend, server: TockServer) {
    this.host = host;
    this.backend = backend;
    this.server = server;
    this.#log = host.path("tockd.log");
  }

  static async create(host: Host, backend: Backend): Promise<TockDoor> {
    const ssh = { ports: ["tcp/22"], ttl: "30s", max_ttl: "1h" };
    const users = { alice: { knock: true }, bob: {} };
    const setup = { backend, services: { ssh }, users, tables: { knock: { transport: "udp" } } };
    return new TockDoor(host, backend, await TockServer.create(host, setup));
  }

  /** Gives the milliseconds until it says that it is ready. `flags` are Node's own. */
  async start(...flags: string[]): Promise<number> {
    const argv = [NODE, ...flags, TOCKD, "run", "--config", this.server.config];
    await rm(this.#log, { force: true });
    const start = performance.now();
    this.#process = this.host.start([
      "sh",
      "-c",
      `exec "$0" "$@" </dev/null >"${this.#log}" 2>&1`,
      ...argv,
    ] as [string, ...string[]]);
    const isReady = async (): Promise<boolean> => {
      if (this.#process?.running !== true) throw new Error(`tockd ended: ${await this.log()}`);
      return (await this.log()).includes('"ready"');
    };
    await eventually("tockd is ready", isReady, { within: 180_000, every: 2 });
    return performance.now() - start;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#process?.stop(signal);
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error("tockd was not started");
    return this.#process.pid;
  }

  log(): Promise<string> {
    return readFile(this.#log, "utf8").catch(() => "");
  }

  async device(id: string): Promise<Device> {
    return new Device(await this.server.addDevice(id, "--static"));
  }

  /** Puts so many devices into the store, the first with this number; the daemon must not run. */
  fill(count: number, first = 0): void {
    const db = new DatabaseSync(`${this.server.state}/tock.db`);
    db.exec("BEGIN");
    const insert = db.prepare(
      "INSERT INTO device (id, revision, created, enabled, current, current_since, next_from_link, enrolling, static) VALUES (?, 1, 1, 1, ?, 1, 0, 0, 0)",
    );
    for (let number = first; number < first + count; number++) insert.run(`bob/d${number}`, randomBytes(32));
    db.exec("COMMIT");
    db.close();
  }
}
