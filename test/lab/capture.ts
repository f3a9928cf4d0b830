import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { markerFrame } from "./frame.ts";
import type { Host } from "./host.ts";
import { type Packet, readPcap } from "./pcap.ts";
import type { Process } from "./process.ts";
import { eventually } from "./wait.ts";

const MARKER_TYPE = 0x88b5;

/** A running tcpdump on a host's interface. What it has seen can be looked at while it runs. */
export class Capture {
  readonly file: string;
  readonly #host: Host;
  readonly #process: Process;

  private constructor(host: Host, process: Process, file: string) {
    this.#host = host;
    this.#process = process;
    this.file = file;
  }

  /** Starts tcpdump and gives the capture once it listens. `filter` is a pcap filter (markers always pass). */
  static async start(host: Host, filter = ""): Promise<Capture> {
    const file = host.path(`capture-${randomBytes(3).toString("hex")}.pcap`);
    const wanted = filter === "" ? [] : [`(${filter}) or ether proto ${MARKER_TYPE}`];
    const options = ["-n", "-p", "-s", "0", "-U", "--immediate-mode", "-Z", "root"];
    const process = host.start(["tcpdump", ...options, "-i", host.device, "-w", file, ...wanted]);
    await process.waitFor(/listening on/);
    return new Capture(host, process, file);
  }

  /**
   * Every packet until now. `from` puts a marker frame on the wire first and waits until it shows up, so that
   * "it saw nothing" means nothing was there: the capture was awake, and whatever was sent before has arrived.
   */
  async packets(from: Host): Promise<Packet[]> {
    const text = `marker ${randomBytes(6).toString("hex")}`;
    await (await from.agent()).frames(from.device, [markerFrame(from.mac, text)]);
    let packets: Packet[] = [];
    await eventually("the marker shows up in the capture", async () => {
      packets = readPcap(await readFile(this.file));
      return packets.some((packet) => packet.type === MARKER_TYPE && packet.frame.includes(text));
    });
    return packets.filter((packet) => packet.type !== MARKER_TYPE);
  }

  /**
   * IP packets that the host under capture has sent until now, as seen on its own wire. Neighbour discovery and
   * multicast listener reports are left out: a host that is there cannot hide that it has addresses on the link.
   */
  async sentByHost(from: Host): Promise<Packet[]> {
    return (await this.packets(from)).filter(
      (packet) => packet.fromMac === this.#host.mac && !isLinkNoise(packet),
    );
  }

  async stop(): Promise<void> {
    await this.#process.stop("SIGINT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** ARP; ICMPv6 router and neighbour discovery (133–137) and multicast listener messages (130–132, 143). */
function isLinkNoise(packet: Packet): boolean {
  if (packet.type === 0x0806) return true;
  const type = packet.protocol === 58 ? packet.icmpType : undefined;
  return type !== undefined && ((type >= 130 && type <= 137) || type === 143);
}
