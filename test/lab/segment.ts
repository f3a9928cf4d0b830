import { must, run } from "./exec.ts";
import type { AddressPair } from "./host.ts";

/** What a host has after it was put on a segment. */
export interface Plug {
  readonly device: string;
  readonly mac: string;
  readonly address: AddressPair;
}

/** A namespace with loopback up, IPv6 addresses usable at once, and no chatter of its own. */
export async function makeNamespace(namespace: string): Promise<void> {
  await must(["ip", "netns", "add", namespace]);
  const settings = ["accept_dad", "accept_ra", "router_solicitations"].flatMap((key) =>
    ["all", "default"].map((scope) => `echo 0 > /proc/sys/net/ipv6/conf/${scope}/${key}`),
  );
  await must(["ip", "netns", "exec", namespace, "sh", "-c", settings.join(" && ")]);
  await must(["ip", "-n", namespace, "link", "set", "lo", "up"]);
}

/** An Ethernet segment: a bridge in a namespace of its own, and the prefixes whose addresses its hosts get. */
export class Segment {
  readonly namespace: string;
  readonly #bridge: string;
  readonly #prefix: AddressPair;
  #plugged = 0;

  private constructor(namespace: string, bridge: string, prefix: AddressPair) {
    this.namespace = namespace;
    this.#bridge = bridge;
    this.#prefix = prefix;
  }

  /** Makes the bridge. `prefix` holds the addresses up to their last part, for example `192.0.2.` and `2001:db8::`. */
  static async create(namespace: string, bridge: string, prefix: AddressPair): Promise<Segment> {
    const options = ["stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"];
    await must(["ip", "-n", namespace, "link", "add", bridge, "type", "bridge", ...options]);
    await must(["ip", "-n", namespace, "link", "set", bridge, "addrgenmode", "none", "up"]);
    const untouched =
      "for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ -e $f ] && echo 0 > $f; done; true";
    await must(["ip", "netns", "exec", namespace, "sh", "-c", untouched]);
    return new Segment(namespace, bridge, prefix);
  }

  /** Puts the interface `device` into a host's namespace, with the next address of each family. */
  async attach(host: string, device: string): Promise<Plug> {
    const number = ++this.#plugged;
    const address = { v4: `${this.#prefix.v4}${number}`, v6: `${this.#prefix.v6}${number.toString(16)}` };
    const port = `${this.#bridge}.${number}`;
    await must([
      "ip",
      "-n",
      host,
      "link",
      "add",
      device,
      "type",
      "veth",
      "peer",
      port,
      "netns",
      this.namespace,
    ]);
    const here = `link set ${port} addrgenmode none\nlink set ${port} master ${this.#bridge} up\n`;
    await must(["ip", "-n", this.namespace, "-batch", "-"], { input: here });
    const there = [
      `link set ${device} up`,
      `addr add ${address.v4}/24 dev ${device}`,
      `addr add ${address.v6}/64 dev ${device} nodad`,
    ];
    await must(["ip", "-n", host, "-batch", "-"], { input: `${there.join("\n")}\n` });
    const [link] = JSON.parse(await must(["ip", "-n", host, "-j", "link", "show", device])) as {
      address: string;
    }[];
    return { device, mac: link?.address ?? "", address };
  }

  /**
   * Loses frames on this segment, by an nftables condition on bridged frames, until it is called with none.
   * `numgen inc mod 3 0` loses each third, `numgen random mod 100 < 30` loses 30 %, `udp dport 62201` just those.
   */
  async lose(condition: string | undefined): Promise<void> {
    await run(["ip", "netns", "exec", this.namespace, "nft", "delete", "table", "bridge", "lab"]);
    if (condition === undefined) return;
    const table = `table bridge lab {
      chain wire {
        type filter hook forward priority 0;
        ether type { ip, ip6 } ${condition} drop
      }
    }\n`;
    await must(["ip", "netns", "exec", this.namespace, "nft", "-f", "-"], { input: table });
  }
}
