import { Address } from "../shared/address.ts";
import { PACKET_BYTES, TAG_BYTES } from "../shared/constants.ts";
import type { RawUdp } from "./capture/raw-udp.ts";
import type { FrameView, TagFilter } from "./core/packet-source.ts";

const LOOPBACK = Address.v4(Uint8Array.of(127, 0, 0, 1));

export interface WatchdogParts {
  /** The SPA port, as it is now. */
  readonly port: () => number;
  readonly raw: RawUdp;
  /** The capture's filter, as it is now. */
  readonly tags: () => TagFilter | undefined;
  /** The answer to a probe that came through. */
  readonly feed: () => void;
  readonly random: (bytes: number) => Uint8Array;
}

/**
 * Shows that packets are still seen: sends itself one over loopback, with a tag that no device has, and feeds the
 * service manager's watchdog when the capture gives it back. A daemon that runs but sees nothing is not fed, and so is started again.
 */
export class Watchdog {
  readonly #parts: WatchdogParts;
  readonly #probe: Uint8Array;
  readonly #timer: NodeJS.Timeout;

  /** Probes every `interval` ms. */
  constructor(parts: WatchdogParts, interval: number) {
    this.#parts = parts;
    this.#probe = parts.random(PACKET_BYTES);
    this.#timer = setInterval(() => this.#send(), interval);
    this.#send();
  }

  /** Takes the frame if it is a probe. Nothing is allocated for others. */
  takes(frame: FrameView): boolean {
    if (frame.kind !== "spa") return false;
    for (let index = 0; index < PACKET_BYTES; index++) {
      if (frame.bytes[frame.payloadAt + index] !== this.#probe[index]) return false;
    }
    this.#parts.feed();
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #send(): void {
    const { raw, tags } = this.#parts;
    const port = this.#parts.port();
    // Each time, since the filter may have been filled anew.
    tags()?.add(this.#probe.subarray(0, TAG_BYTES));
    raw.send({ address: LOOPBACK, port }, { address: LOOPBACK, port }, this.#probe);
  }
}

/** Half of the service manager's patience in ms (WATCHDOG_USEC, sd_watchdog_enabled(3)); undefined = it does not watch. */
export function watchdogInterval(env: NodeJS.ProcessEnv): number | undefined {
  const micros = Number(env["WATCHDOG_USEC"]);
  return Number.isFinite(micros) && micros > 0 ? Math.max(100, micros / 2000) : undefined;
}
