import { fdatasync, fdatasyncSync } from "node:fs";

/** Milliseconds that changes are gathered for. */
const GATHER = 50;

/**
 * Has an open file synced to its disk soon after a change, in Node's thread pool, so that nobody waits: a loss of power can
 * take the last twentieth of a second and what the disk needs for a sync.
 */
export class SoonSynced {
  readonly #fd: number;
  readonly #failed: (code: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;
  #changed = false;
  #closed = false;
  #trouble: string | undefined;

  /** `failed` is told the system's code, such as EIO, once until a sync succeeds again. */
  constructor(fd: number, failed: (code: string) => void) {
    this.#fd = fd;
    this.#failed = failed;
  }

  /** The file has changed. */
  changed(): void {
    this.#changed = true;
    if (this.#busy) return;
    this.#busy = true;
    this.#timer = setTimeout(this.#sync, GATHER).unref();
  }

  /** To be called before the descriptor is closed: what has changed is synced now. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closed = true;
    if (!this.#changed) return;
    try {
      fdatasyncSync(this.#fd);
    } catch {
      // Nobody is left to be told; the kernel keeps it until the machine ends.
    }
  }

  readonly #sync = (): void => {
    this.#changed = false;
    fdatasync(this.#fd, this.#synced);
  };

  readonly #synced = (error: NodeJS.ErrnoException | null): void => {
    if (this.#closed) return;
    const trouble = error?.code;
    if (trouble !== undefined && trouble !== this.#trouble) this.#failed(trouble);
    this.#trouble = trouble;
    this.#busy = false;
    if (this.#changed) this.changed();
  };
}
