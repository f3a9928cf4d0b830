import { type Poll, pollReadable } from "../sys/libc.ts";

/** Two wake-ups within this time (ms) mean that packets come faster than it pays to be woken for each. */
const BUSY = 0.25;

/** What a reading came to: there was nothing, all there was has been read, or its time was up and there may be more. */
export type Drained = "nothing" | "all" | "some";

/**
 * Reads a ring when there is something to read: at rest by the kernel's wake-up, which is quickest for the one packet
 * that matters; under load by looking each millisecond, since the wake-up then costs far more than the reading. Where even that is not
 * enough the rest of the program still gets its turn in between.
 */
export class AdaptivePoll {
  readonly #drain: () => Drained;
  readonly #poll: Poll;
  #timer: NodeJS.Timeout | undefined;
  #wokenAt = 0;
  #closed = false;

  constructor(fd: number, drain: () => Drained) {
    this.#drain = drain;
    this.#poll = pollReadable(fd, () => this.#woken());
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#poll.close();
  }

  #woken(): void {
    const drained = this.#drain();
    const now = performance.now();
    const busy = drained === "some" || now - this.#wokenAt < BUSY;
    this.#wokenAt = now;
    if (!busy || this.#closed) return;
    this.#poll.stop();
    this.#lookAgain(drained);
  }

  #look(): void {
    const drained = this.#drain();
    if (this.#closed) return;
    if (drained === "nothing") this.#poll.start();
    else this.#lookAgain(drained);
  }

  #lookAgain(drained: Drained): void {
    if (drained === "some") setImmediate(() => this.#closed || this.#look());
    else this.#timer = setTimeout(() => this.#look(), 1);
  }
}
