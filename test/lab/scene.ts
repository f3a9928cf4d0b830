import { DEFAULT_SPA_PORT } from "../../shared/constants.ts";
import type { Endpoint } from "./agent.ts";
import { Device } from "./device.ts";
import type { Output } from "./exec.ts";
import type { Family, Host } from "./host.ts";
import { Lab } from "./lab.ts";
import { tock } from "./programs.ts";
import { type ServerSetup, TockServer } from "./tock-server.ts";
import { eventually } from "./wait.ts";

export const FAMILIES: readonly Family[] = [4, 6];

/** What most tests begin with: a server whose daemon runs, a client, and a stranger who has nothing. */
export class Scene {
  readonly lab: Lab;
  readonly server: Host;
  readonly client: Host;
  readonly stranger: Host;
  readonly daemon: TockServer;

  private constructor(lab: Lab, hosts: readonly [Host, Host, Host], daemon: TockServer) {
    this.lab = lab;
    [this.server, this.client, this.stranger] = hosts;
    this.daemon = daemon;
  }

  /** Sets the scene, with the daemon running and a listener on each of the TCP ports. */
  static async set(setup: ServerSetup = {}, listen: readonly number[] = [22]): Promise<Scene> {
    const lab = await Lab.create();
    try {
      const hosts = await lab.hosts("server", "client", "stranger");
      const daemon = await TockServer.create(hosts[0], setup);
      const agent = await hosts[0].agent();
      for (const port of listen) await agent.listen("tcp", port);
      await daemon.start();
      return new Scene(lab, hosts, daemon);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A device whose packets the test makes itself. */
  async device(id: string, serverId?: Uint8Array): Promise<Device> {
    return new Device(await this.daemon.addDevice(id, "--static"), serverId);
  }

  /** Runs `tock` on a host. */
  tock(host: Host, ...args: string[]): Promise<Output> {
    return host.run(tock(...args));
  }

  /** Whether a TCP connect from a host to the server gets through. */
  async sees(host: Host, family: Family, port = 22, timeout = 300): Promise<boolean> {
    return (await (await host.agent()).probe(this.server.at(family), port, { timeout })) === "open";
  }

  /** Whether the port of ssh is open for the client or the stranger, over either family. */
  async seenByAnyone(): Promise<boolean> {
    const hosts = [this.client, this.stranger];
    const seen = await Promise.all(
      hosts.flatMap((host) => FAMILIES.map((family) => this.sees(host, family))),
    );
    return seen.includes(true);
  }

  /** Waits until a port is open for a host. */
  async opens(host: Host, family: Family, port = 22): Promise<void> {
    await eventually(`port ${port} opens for ${host.name} over IPv${family}`, () =>
      this.sees(host, family, port),
    );
  }

  /** Waits until a port is shut for a host. Gives the milliseconds that it took. */
  shuts(host: Host, family: Family, port = 22): Promise<number> {
    const what = `port ${port} shuts for ${host.name} over IPv${family}`;
    return eventually(what, async () => !(await this.sees(host, family, port)));
  }

  /** Where packets go. */
  spa(family: Family): Endpoint {
    return { address: this.server.at(family), port: DEFAULT_SPA_PORT };
  }

  /** Sends a datagram to the SPA port. Gives what came back within `wait` ms. */
  async send(
    host: Host,
    family: Family,
    payload: Uint8Array,
    options: { from?: Endpoint; wait?: number } = {},
  ): Promise<string[]> {
    return (await host.agent()).udp(this.spa(family), payload, options);
  }

  /** Ends the host's grants to ssh, by a device that may open it, and waits until the port is shut. */
  async close(device: Device, ...hosts: readonly Host[]): Promise<void> {
    const places = hosts.flatMap((host) => FAMILIES.map((family) => ({ host, family })));
    const packets = places.map(({ host, family }) =>
      this.send(host, family, device.packet({ type: "close" })),
    );
    await Promise.all(packets);
    await Promise.all(places.map(({ host, family }) => this.shuts(host, family)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}
