import { mkdir } from "node:fs/promises";
import { claimName, folderOf, membersOf, removeAll, sweep } from "./cleanup.ts";
import { must } from "./exec.ts";
import { Host } from "./host.ts";
import { SecretSearch } from "./secret-search.ts";
import { makeNamespace, Segment } from "./segment.ts";

/**
 * A network of its own: hosts in network namespaces, joined by a bridge that is in a namespace too, so that nothing of
 * the machine's own network is touched. Labs can exist beside each other; each removes what it made, also when its
 * process dies half-way (the next lab sweeps).
 *
 *     await using lab = await Lab.create();
 *     const [server, client] = await lab.hosts("server", "client");
 */
export class Lab {
  readonly name: string;
  readonly folder: string;
  /** The wire that hosts are put on: 192.0.2.0/24 and 2001:db8::/64. */
  readonly wire: Segment;
  readonly #hosts: Host[] = [];
  readonly #search = new SecretSearch();

  private constructor(name: string, wire: Segment) {
    this.name = name;
    this.folder = folderOf(name);
    this.wire = wire;
  }

  /** Makes the wire. Throws when this is not Linux, not root, or a tool is missing. */
  static async create(): Promise<Lab> {
    if (process.platform !== "linux")
      throw new Error("the lab needs Linux: it is made of network namespaces");
    if (process.getuid?.() !== 0) throw new Error("the lab needs root: it makes network namespaces");
    sweep();
    const name = claimName();
    try {
      await mkdir(folderOf(name), { mode: 0o755 });
      await makeNamespace(`${name}-wire`);
      const wire = await Segment.create(`${name}-wire`, "br0", { v4: "192.0.2.", v6: "2001:db8::" });
      return new Lab(name, wire);
    } catch (error) {
      removeAll(name);
      throw error;
    }
  }

  /** One more host on the wire (or on another segment). Names are unique within the lab. */
  async host(name: string, segment: Segment = this.wire): Promise<Host> {
    const namespace = `${this.name}-${name}`;
    await makeNamespace(namespace);
    const plug = await segment.attach(namespace, "eth0");
    const host = new Host({
      name,
      namespace,
      folder: `${this.folder}/${name}`,
      record: this.#search.record,
      ...plug,
    });
    await host.makeFolder();
    this.#hosts.push(host);
    return host;
  }

  /** Several hosts on the wire, in this order: the first gets 192.0.2.1 and 2001:db8::1, and so on. */
  async hosts<const Names extends readonly string[]>(
    ...names: Names
  ): Promise<{ [Key in keyof Names]: Host }> {
    const hosts: Host[] = [];
    for (const name of names) hosts.push(await this.host(name));
    return hosts as { [Key in keyof Names]: Host };
  }

  /** Hosts behind a gateway that translates their addresses (IPv4 and IPv6) to its own one on the wire. */
  async hostsBehindNat(gatewayName: string, ...names: string[]): Promise<{ gateway: Host; hosts: Host[] }> {
    const gateway = await this.host(gatewayName);
    const home = await Segment.create(this.wire.namespace, `br-${gatewayName.slice(0, 8)}`, {
      v4: "198.51.100.",
      v6: "fd00:db8::",
    });
    const inner = await home.attach(gateway.namespace, "eth1");
    const masquerade = `table ip nat {
      chain post {
        type nat hook postrouting priority 100;
        oifname "eth0" masquerade
      }
    }`;
    const rules = masquerade + masquerade.replace("table ip", "\ntable ip6");
    await gateway.must(["nft", "-f", "-"], { input: `${rules}\n` });
    const forward = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
    await gateway.must(["sh", "-c", forward]);
    const hosts: Host[] = [];
    for (const name of names) {
      const host = await this.host(name, home);
      await must(["ip", "-n", host.namespace, "route", "add", "default", "via", inner.address.v4]);
      await must(["ip", "-n", host.namespace, "-6", "route", "add", "default", "via", inner.address.v6]);
      hosts.push(host);
    }
    return { gateway, hosts };
  }

  /**
   * Stops every process, removes every namespace and the folder. Throws, when that is done, where a secret of a device
   * that was enrolled here has shown anywhere.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#search.look(this.#hosts.flatMap((host) => membersOf(host.namespace)));
    await Promise.all(this.#hosts.map((host) => host.stop()));
    const leaks = this.#search.leaks(this.folder);
    removeAll(this.name);
    if (leaks.length > 0) throw new Error(`secrets show:\n${leaks.join("\n")}`);
  }
}
