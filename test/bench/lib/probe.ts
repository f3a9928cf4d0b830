import type { Family, Host } from "../../lab/host.ts";
import type { Process } from "../../lab/process.ts";
import type { Programs } from "./programs.ts";

/** One datagram of a knock; it is sent `delay` microseconds after the one before. */
export interface Datagram {
  readonly port: number;
  readonly delay: number;
  readonly bytes: Uint8Array;
}

/** The client's side: sends what opens a door and says when it was open. See c/probe.c. */
export class Probe {
  readonly #process: Process;
  #asked = 0;

  constructor(client: Host, programs: Programs) {
    this.#process = client.start(programs.probe);
  }

  /** Milliseconds from the last datagram to the first SYN that got a SYN-ACK; undefined = never within `timeout` ms. */
  async trial(
    source: string,
    target: string,
    port: number,
    datagrams: readonly Datagram[],
    timeout = 1_000,
  ): Promise<number | undefined> {
    const words = datagrams.map(
      ({ port, delay, bytes }) => `${port}:${delay}:${Buffer.from(bytes).toString("hex")}`,
    );
    this.#process.write(`${[source, target, port, timeout, ...words].join(" ")}\n`);
    const pattern = new RegExp(`^(?:.*\\n){${this.#asked++}}(.*)\\n`);
    const [, line = ""] = await this.#process.waitFor(pattern, timeout + 20_000);
    return line === "lost" ? undefined : Number(line) / 1000;
  }
}

/** Addresses that nobody used before, which the client's routes make its own. */
export class Sources {
  #last = 0;

  next(family: Family): string {
    const number = ++this.#last;
    return family === 4 ? `10.99.${number >> 8}.${number & 255}` : `fd99::${number.toString(16)}`;
  }
}
