import { write, writeSync } from "node:fs";

/** Milliseconds that a line waits for others: many grants are one write. */
const GATHER = 10;
/** Milliseconds until a reader that is slow is tried again, and how often at the end of the process. */
const RETRY = 50;
const LAST_TRIES = 20;
/** Bytes that may wait for a reader that does not read; what comes then is lost. */
const MOST = 1 << 20;

const wait = new Int32Array(new SharedArrayBuffer(4));

/**
 * A descriptor for log lines: in few writes, off the data path, the rest at the process's end. Where nobody reads them, or the disk is full,
 * they are lost and the daemon goes on; the audit trail has files of its own.
 */
export class LogOutput {
  readonly #fd: number;
  #waiting = "";
  #timer: NodeJS.Timeout | undefined;
  /** What is being written, or waits for `#retry`. */
  #writing: Buffer | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(fd: number) {
    this.#fd = fd;
    process.on("exit", () => this.flushSync());
  }

  /** Queues a line, its line break included. */
  write(line: string): void {
    if (this.#waiting.length + line.length > MOST) return;
    this.#waiting += line;
    this.#timer ??= setTimeout(() => this.flush(), GATHER);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writing !== undefined || this.#waiting === "") return;
    const bytes = Buffer.from(this.#waiting);
    this.#waiting = "";
    this.#write(bytes);
  }

  /** Everything, now; for the end of the process. */
  flushSync(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    if (this.#retry !== undefined && this.#writing !== undefined) writeNow(this.#fd, this.#writing);
    writeNow(this.#fd, Buffer.from(this.#waiting));
    this.#waiting = "";
  }

  #write(bytes: Buffer): void {
    this.#writing = bytes;
    this.#retry = undefined;
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === "EAGAIN") {
        this.#retry = setTimeout(() => this.#write(bytes), RETRY).unref();
        return;
      }
      this.#writing = undefined;
      if (error === null && written < bytes.length) this.#write(bytes.subarray(written));
      else this.flush();
    });
  }
}

/** Writes all of it, or what can be written. */
export function writeNow(fd: number, bytes: Buffer): void {
  let tries = 0;
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || tries++ >= LAST_TRIES) return;
      Atomics.wait(wait, 0, 0, RETRY);
    }
  }
}
