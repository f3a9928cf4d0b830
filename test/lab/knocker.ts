import { type Side, tcpFrame } from "./frame.ts";
import type { Family, Host } from "./host.ts";
import { must } from "./exec.ts";
import { sleep } from "./wait.ts";

const SYN = 2;

/** Source addresses on one host, each as good as a machine of its own: what one of them did is nothing to the next. */
export class Knocker {
  readonly #from: Host;
  readonly #to: Host;
  #used = 0;

  private constructor(from: Host, to: Host) {
    this.#from = from;
    this.#to = to;
  }

  /** Gives the host `count` more addresses of each family, from .50 and ::1:50 on. */
  static async on(from: Host, to: Host, count: number): Promise<Knocker> {
    const lines = Array.from({ length: count }, (_, index) => [
      `addr add 192.0.2.${50 + index}/24 dev ${from.device}`,
      `addr add 2001:db8::1:${50 + index}/64 dev ${from.device} nodad`,
    ]);
    await must(["ip", "-n", from.namespace, "-batch", "-"], { input: `${lines.flat().join("\n")}\n` });
    return new Knocker(from, to);
  }

  /** An address that has done nothing yet. */
  next(family: Family): string {
    const number = 50 + this.#used++;
    return family === 4 ? `192.0.2.${number}` : `2001:db8::1:${number}`;
  }

  /** One SYN to each port, in this order, `gap` ms apart. */
  async knock(source: string, ports: readonly number[], gap = 1): Promise<void> {
    const family = source.includes(":") ? 6 : 4;
    const frames = ports.map((port, index) =>
      tcpFrame(this.#side(source, 30_000 + (index % 20_000)), side(this.#to, family, port), SYN),
    );
    await (await this.#from.agent()).frames(this.#from.device, frames, gap);
  }

  /** Whether a connection from the address gets through, a moment from now. */
  async sees(source: string, port = 22, timeout = 250): Promise<boolean> {
    await sleep(20);
    const at = this.#to.at(source.includes(":") ? 6 : 4);
    const options = { timeout, from: { address: source, port: 0 } };
    return (await (await this.#from.agent()).probe(at, port, options)) === "open";
  }

  #side(address: string, port: number): Side {
    return { mac: this.#from.mac, address, port };
  }
}

function side(host: Host, family: Family, port: number): Side {
  return { mac: host.mac, address: host.at(family), port };
}
