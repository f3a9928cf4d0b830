import { randomBytes } from "node:crypto";
import { KernelFilter } from "../../server/capture/kernel-filter.ts";
import type { CapturePlan } from "../../server/core/frame.ts";
import { bind, close, errnoName, recv, sendto, socket } from "../../server/sys/libc.ts";
import { unwrap } from "../../shared/result.ts";

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0x800 | 0x80000;

/**
 * Runs a capture filter in the kernel on packets that a test makes. A Unix datagram socket runs its filter on the
 * datagram, which begins where an AF_PACKET socket's would: at the IP header.
 */
export class FilterProbe {
  readonly filter: KernelFilter;
  readonly #receiver: number;
  readonly #sender: number;
  readonly #address: Uint8Array;
  readonly #buffer = new Uint8Array(65536);

  constructor(plan: CapturePlan, options: { useTags: boolean }) {
    this.#receiver = check("socket", socket(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0));
    this.#sender = check("socket", socket(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0));
    // Family, then an abstract name: a zero byte first.
    this.#address = Buffer.concat([Buffer.from([AF_UNIX, 0, 0]), randomBytes(12)]);
    check("bind", bind(this.#receiver, this.#address));
    this.filter = unwrap(KernelFilter.install(plan, [this.#receiver], options.useTags));
  }

  /** Whether the filter keeps the packet. A packet that is kept but not whole throws. */
  keeps(packet: Uint8Array): boolean {
    check("send", sendto(this.#sender, packet, this.#address));
    const length = recv(this.#receiver, this.#buffer);
    if (errnoName(length) === "EAGAIN") return false;
    if (check("receive", length) !== packet.length) throw new Error(`cut to ${length} bytes`);
    return true;
  }

  [Symbol.dispose](): void {
    this.filter.close();
    close(this.#receiver);
    close(this.#sender);
  }
}

function check(call: string, result: number): number {
  if (result < 0) throw new Error(`filter probe: ${call}: ${errnoName(result)}`);
  return result;
}
