import { fileURLToPath } from "node:url";
import type { CaptureOptions } from "../../server/capture/af-packet.ts";
import type { CapturePlan, Frame } from "../../server/core/frame.ts";
import type { CaptureStats } from "../../server/core/packet-source.ts";
import type { Argv } from "./exec.ts";
import type { Host } from "./host.ts";
import type { Process } from "./process.ts";
import { eventually } from "./wait.ts";

/** A frame that the capture source delivered. Payload in hex. */
export type Sniffed = Pick<
  Frame,
  | "kind"
  | "family"
  | "protocol"
  | "tcpFlags"
  | "sourcePort"
  | "destinationPort"
  | "interfaceIndex"
  | "arrivedAt"
> & { readonly source: string; readonly destination: string; readonly payload: string };

export type Ask =
  | { readonly op: "stats" }
  | { readonly op: "close" }
  | { readonly op: "add" | "remove" | "replace"; readonly tags: string };

const MAIN = fileURLToPath(new URL("sniffer-main.ts", import.meta.url));
/** Within the knock range of every plan that is sniffed with. */
const MARKER_PORT = 32767;

/** The daemon's own packet capture, running on a host. */
export class Sniffer {
  readonly process: Process;
  #asked = 0;
  #markers = 0;

  private constructor(process: Process) {
    this.process = process;
  }

  /** `wrapper` goes before the command, to take privileges away. */
  static async start(
    host: Host,
    plan: CapturePlan,
    options: CaptureOptions = {},
    wrapper: readonly string[] = [],
  ): Promise<Sniffer> {
    const command = [...wrapper, process.execPath, MAIN, JSON.stringify(plan), JSON.stringify(options)];
    const started = host.start(command as unknown as Argv);
    await started.waitFor(/^ready\n/);
    return new Sniffer(started);
  }

  /**
   * Every frame until now, in order of arrival. `from` sends a marker of each family first and this waits for both,
   * so that what was sent before and is not there did not get through. Markers are knocks by UDP.
   */
  async frames(from: Host, to: Host): Promise<Sniffed[]> {
    const text = Buffer.from(`marker ${++this.#markers}`).toString("hex");
    const agent = await from.agent();
    for (const family of [4, 6] as const) {
      await agent.udp({ address: to.at(family), port: MARKER_PORT }, Buffer.from(text, "hex"));
    }
    let frames: Sniffed[] = [];
    await eventually("both markers are captured", () => {
      frames = this.#printed();
      return frames.filter(({ payload }) => payload === text).length === 2;
    });
    return frames.filter(({ destinationPort }) => destinationPort !== MARKER_PORT);
  }

  async stats(): Promise<CaptureStats & { filter: string }> {
    return (await this.ask({ op: "stats" })) as CaptureStats & { filter: string };
  }

  async ask(ask: Ask): Promise<unknown> {
    const id = ++this.#asked;
    this.process.write(`${JSON.stringify({ id, ...ask })}\n`);
    const [, text = ""] = await this.process.waitFor(new RegExp(`^answer ${id} (.*)$`, "m"));
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }

  #printed(): Sniffed[] {
    const lines = this.process.stdout.split("\n").filter((line) => line.startsWith("frame "));
    return lines.map((line) => JSON.parse(line.slice(6)) as Sniffed);
  }
}
