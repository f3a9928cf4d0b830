import type { Host } from "../../lab/host.ts";
import { Lab } from "../../lab/lab.ts";
import { Sources } from "./probe.ts";

/** Where every figure is taken: a server a backend, a client, and a stranger who floods. All in one lab, in one run. */
export class Network {
  readonly lab: Lab;
  readonly iptables: Host;
  readonly nftables: Host;
  readonly client: Host;
  readonly stranger: Host;
  readonly sources = new Sources();

  private constructor(lab: Lab, [iptables, nftables, client, stranger]: readonly [Host, Host, Host, Host]) {
    this.lab = lab;
    this.iptables = iptables;
    this.nftables = nftables;
    this.client = client;
    this.stranger = stranger;
  }

  /** Client and stranger own whole networks, so that each knock comes from an address that nobody let in before. */
  static async create(): Promise<Network> {
    const lab = await Lab.create();
    try {
      const hosts = await lab.hosts("iptables", "nftables", "client", "stranger");
      const [iptables, nftables, client, stranger] = hosts;
      const networks = [
        [client, "10.99.0.0/16", "fd99::/64"],
        [stranger, "10.96.0.0/14", "fd96::/64"],
      ] as const;
      for (const [owner, v4, v6] of networks) {
        await owner.must(["ip", "route", "add", "local", v4, "dev", "lo"]);
        await owner.must(["ip", "-6", "route", "add", "local", v6, "dev", "lo"]);
        for (const server of [iptables, nftables]) {
          await server.must(["ip", "route", "add", v4, "via", owner.address.v4]);
          await server.must(["ip", "-6", "route", "add", v6, "via", owner.address.v6]);
          // What is learned once is not asked for again in the midst of a measurement.
          for (const address of [owner.address.v4, owner.address.v6]) {
            await server.must(["ip", "neigh", "replace", address, "lladdr", owner.mac, "dev", "eth0"]);
          }
          for (const address of [server.address.v4, server.address.v6]) {
            await owner.must(["ip", "neigh", "replace", address, "lladdr", server.mac, "dev", "eth0"]);
          }
        }
      }
      return new Network(lab, hosts);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}
