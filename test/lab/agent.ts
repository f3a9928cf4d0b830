import { fileURLToPath } from "node:url";
import type { Argv } from "./exec.ts";
import type { Process } from "./process.ts";

/** What a TCP connect met: an answer, a reset, silence, or no way there. */
export type ProbeResult = "open" | "closed" | "filtered" | "unreachable";

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export interface ProbeOptions {
  /** Milliseconds of silence that count as filtered. Default 400: a veth pair answers within a few. */
  readonly timeout?: number;
  /** Bind to this address and port (0 = any) first. */
  readonly from?: Endpoint;
}

export type Request =
  | { readonly op: "connect"; readonly to: Endpoint; readonly timeout: number; readonly from?: Endpoint }
  | { readonly op: "listen"; readonly protocol: "tcp" | "udp"; readonly at: Endpoint }
  | {
      readonly op: "udp";
      readonly to: Endpoint;
      readonly from?: Endpoint;
      readonly payload: string;
      readonly wait: number;
      readonly enough: number;
    }
  | {
      readonly op: "frames";
      readonly device: string;
      readonly frames: readonly string[];
      readonly gap: number;
    };

/**
 * A small program inside a host's namespace that does on request what would otherwise cost a new process each time:
 * TCP connects, UDP datagrams from a chosen source, listeners, raw Ethernet frames.
 */
export class Agent {
  static readonly argv: Argv = [process.execPath, fileURLToPath(new URL("agent-main.ts", import.meta.url))];
  readonly ready: Promise<void>;
  readonly #process: Process;
  readonly #asked = new Map<number, (answer: string) => void>();
  #last = 0;

  constructor(process: Process) {
    this.#process = process;
    this.ready = process.waitFor(/^ready\n/).then(() => process.readLines((line) => this.#take(line)));
    void this.#end();
  }

  /** Tries a TCP connect and lets go of it at once. */
  async probe(address: string, port: number, options: ProbeOptions = {}): Promise<ProbeResult> {
    const { timeout = 400, from } = options;
    const request: Request = { op: "connect", to: { address, port }, timeout, ...(from && { from }) };
    return (await this.#ask(request, timeout)) as ProbeResult;
  }

  /** Accepts TCP connections, or takes UDP datagrams and answers each with the same bytes, on every address. */
  async listen(protocol: "tcp" | "udp", port: number, address = "::"): Promise<void> {
    await this.#ask({ op: "listen", protocol, at: { address, port } }, 0);
  }

  /** Sends one datagram, waits `wait` ms, or until `enough` came back, and gives the datagrams that did (hex). */
  async udp(
    to: Endpoint,
    payload: Uint8Array,
    options: { from?: Endpoint; wait?: number; enough?: number } = {},
  ): Promise<string[]> {
    const { from, wait = 0, enough = Infinity } = options;
    const hex = Buffer.from(payload).toString("hex");
    const request = {
      op: "udp",
      to,
      payload: hex,
      wait,
      enough: Math.min(enough, 1e6),
      ...(from && { from }),
    } as const;
    return (await this.#ask(request, wait)) as string[];
  }

  /** Puts whole Ethernet frames on an interface as they are, `gap` ms apart. */
  async frames(device: string, frames: readonly Uint8Array[], gap = 0): Promise<void> {
    const hex = frames.map((frame) => Buffer.from(frame).toString("hex"));
    await this.#ask({ op: "frames", device, frames: hex, gap }, gap * frames.length);
  }

  async #ask(request: Request, duration: number): Promise<unknown> {
    const id = ++this.#last;
    const text = await new Promise<string>((resolve, reject) => {
      const late = (): void => reject(new Error(`agent: ${request.op}: no answer in time`));
      const timer = setTimeout(late, duration + 20_000);
      this.#asked.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#process.write(`${JSON.stringify({ id, ...request })}\n`);
    }).finally(() => this.#asked.delete(id));
    const answer = JSON.parse(text) as { value?: unknown; error?: string };
    if (answer.error !== undefined) throw new Error(`agent: ${request.op}: ${answer.error}`);
    return answer.value;
  }

  async #end(): Promise<void> {
    await this.#process.exited;
    for (const answer of this.#asked.values()) answer('{"error":"the agent has ended"}');
  }

  #take(line: string): void {
    const space = line.indexOf(" ");
    this.#asked.get(Number(line.slice(0, space)))?.(line.slice(space + 1));
  }
}
