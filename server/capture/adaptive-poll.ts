import { type Poll, pollReadable } from "../sys/libc.ts";

/** Two wake-ups within this time (ms) mean that packets come faster than it pays to be woken for each. */
const BUSY = 0.25;

/**
 * Reads a ring when there is something to read: at rest by the kernel's wake-up, which is quickest for the one packet
 * that matters; under load by looking each millisecond, since the wake-up then costs far more than the reading.
 */
export class AdaptivePoll {
  readonly #drain: () => number;
  readonly #poll: Poll;
  #timer: NodeJS.Timeout | undefined;
  #wokenAt = 0;
  #closed = false;

  /** `drain` reads what there is and says how many packets that was. */
  constructor(fd: number, drain: () => number) {
    this.#drain = drain;
    this.#poll = pollReadable(fd, () => this.#woken());
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#poll.close();
  }

  #woken(): void {
    this.#drain();
    const now = performance.now();
    const busy = now - this.#wokenAt < BUSY;
    this.#wokenAt = now;
    if (!busy || this.#closed) return;
    this.#poll.stop();
    this.#timer ??= setTimeout(() => this.#look(), 1);
    this.#timer.refresh();
  }

  #look(): void {
    // Both do nothing after close.
    if (this.#drain() > 0) this.#timer?.refresh();
    else this.#poll.start();
  }
}
