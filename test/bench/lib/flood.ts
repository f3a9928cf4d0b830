import type { Host } from "../../lab/host.ts";
import type { Process } from "../../lab/process.ts";
import type { Programs } from "./programs.ts";

export type Kind = "tag" | "size" | "ports" | "stun" | "forged" | "each";

/** Datagrams from a host to one port of another, in their own namespaces: see c/flood.c. */
export class Flood {
  readonly #host: Host;
  readonly #program: string;
  readonly #target: readonly [string, string];
  #process: Process | undefined;

  constructor(host: Host, programs: Programs, address: string, port: number) {
    this.#host = host;
    this.#program = programs.flood;
    this.#target = [address, String(port)];
  }

  /** `rate` in datagrams a second, 0 = all that it can; it ends by itself after at most 10 s. */
  start(kind: Kind, rate: number, seconds: number, ...rest: readonly string[]): void {
    const words = [...this.#target, kind, String(rate), String(seconds), ...rest];
    this.#process = this.#host.start([this.#program, ...words]);
  }

  get running(): boolean {
    return this.#process?.running === true;
  }

  /** Waits for its end, and gives what it sent. */
  async end(): Promise<{ sent: number; seconds: number }> {
    await this.#process?.exited;
    const [sent = 0, seconds = 0] = (this.#process?.stdout ?? "").split(" ").map(Number);
    if (sent === 0) throw new Error(`flood: sent nothing: ${this.#process?.stderr}`);
    return { sent, seconds };
  }
}
