import { closeSync, constants, existsSync, fstatSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { type FileHandle, open, rename } from "node:fs/promises";
import { codeOf } from "./journal-io.ts";
import {
  formatHead,
  type Head,
  hashOf,
  headFile,
  NO_HASH,
  parseHead,
  parseLine,
  trailFile,
} from "./trail-file.ts";

export interface TrailOptions {
  readonly folder: string;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Told what goes wrong, and that it goes right again, in words for the log. */
  readonly tell: (message: string) => void;
  /** A file that has grown beyond this is put aside. */
  readonly fileBytes?: number;
  /** Files that are kept, the one written to included. */
  readonly files?: number;
  /** Lines that may wait to be written; more are counted and given up. */
  readonly queue?: number;
  /** Milliseconds after which writing is tried again. */
  readonly retry?: number;
  /** Milliseconds that a line waits for others: many are one write and one sync. */
  readonly gather?: number;
}

const DEFAULTS = { fileBytes: 4 * 2 ** 20, files: 16, queue: 10_000, retry: 1_000, gather: 20 };
/** Lines written at once. */
const BATCH = 256;
const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

/** How the trail fares. */
export interface TrailState {
  /** Number of the last line on disk. */
  readonly seq: number;
  readonly waiting: number;
  /** Lines given up since the start. */
  readonly lost: number;
  /** Why nothing can be written now. */
  readonly trouble: string | undefined;
}

/**
 * Writes the audit trail, off the data path: `append` only queues. What cannot be written waits; where too much waits it is
 * counted, and a line says how many are missing once writing is possible again. One process at a time may write.
 */
export class AuditTrail {
  readonly #options: Required<TrailOptions>;
  readonly #queue: string[] = [];
  #head: Head = { seq: 0, hash: NO_HASH, first: 1 };
  #file: FileHandle | undefined;
  #headFile: FileHandle | undefined;
  #size = 0;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lost = 0;
  #untold = 0;
  #trouble: string | undefined;
  #opened = false;

  constructor(options: TrailOptions) {
    this.#options = { ...DEFAULTS, ...options };
  }

  get state(): TrailState {
    return { seq: this.#head.seq, waiting: this.#queue.length, lost: this.#lost, trouble: this.#trouble };
  }

  /** Queues a line; the time is now. `fields` begins with `kind`, and holds neither `at`, `seq` nor `prev`. */
  append(fields: Readonly<Record<string, unknown>>): void {
    if (this.#queue.length >= this.#options.queue) {
      this.#lost++;
      this.#untold++;
      return;
    }
    this.#queue.push(this.#text(fields));
    if (this.#running === undefined) this.#timer ??= setTimeout(this.#start, this.#options.gather).unref();
  }

  /** Resolves once everything queued is on disk, or cannot be written for now. */
  async flush(): Promise<void> {
    this.#start();
    await this.#running;
  }

  /** Writes what waits, if it can be written, and ends. */
  async close(): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
    await this.#file?.close();
    await this.#headFile?.close();
    this.#file = undefined;
    this.#headFile = undefined;
  }

  #text(fields: Readonly<Record<string, unknown>>): string {
    const at = new Date(this.#options.now()).toISOString();
    const json = `"at":"${at}",${JSON.stringify(fields).slice(1, -1)}`;
    const escape = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
    return json.replace(/[\u007f-\uffff]/g, escape);
  }

  readonly #start = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#queue.length === 0 || this.#running !== undefined) return;
    this.#running = this.#work().finally(() => {
      this.#running = undefined;
    });
  };

  async #work(): Promise<void> {
    try {
      if (!this.#opened) this.#recover();
      while (this.#queue.length > 0) await this.#batch();
      if (this.#trouble !== undefined) this.#options.tell("audit trail: it is written again");
      this.#trouble = undefined;
    } catch (error) {
      const trouble = codeOf(error);
      if (trouble !== this.#trouble) {
        const hint = trouble === "ENOSPC" ? "; the disk is full" : "";
        this.#options.tell(
          `audit trail: cannot write to ${trailFile(this.#options.folder, 0)}: ${trouble}${hint}`,
        );
      }
      this.#trouble = trouble;
      this.#timer = setTimeout(this.#start, this.#options.retry).unref();
    }
  }

  async #batch(): Promise<void> {
    if (this.#size >= this.#options.fileBytes) await this.#rotate();
    this.#file ??= await open(trailFile(this.#options.folder, 0), FLAGS, 0o600);
    const untold = this.#untold;
    if (untold > 0) this.#queue.unshift(this.#text({ kind: "audit-lost", lines: untold }));
    this.#untold -= untold;
    const count = Math.min(BATCH, this.#queue.length);
    let { seq, hash } = this.#head;
    let text = "";
    for (const each of this.#queue.slice(0, count)) {
      const line = `{"seq":${++seq},${each},"prev":"${hash}"}`;
      hash = hashOf(line);
      text += `${line}\n`;
    }
    const bytes = Buffer.from(text);
    // What an earlier try left behind goes first.
    await this.#file.truncate(this.#size);
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#size + done);
      done += bytesWritten;
    }
    await this.#file.datasync();
    this.#size += bytes.length;
    this.#queue.splice(0, count);
    await this.#setHead({ ...this.#head, seq, hash });
  }

  /** The file that is written to becomes the youngest of those put aside; the oldest goes. */
  async #rotate(): Promise<void> {
    const { folder, files } = this.#options;
    await this.#file?.close();
    this.#file = undefined;
    const oldest = firstLine(trailFile(folder, files - 2)) ?? this.#head.seq + 1;
    for (let number = files - 2; number >= 0; number--) {
      if (existsSync(trailFile(folder, number))) {
        await rename(trailFile(folder, number), trailFile(folder, number + 1));
      }
    }
    this.#size = 0;
    if (existsSync(trailFile(folder, files - 1))) await this.#setHead({ ...this.#head, first: oldest });
  }

  /** Follows the lines, which are what counts: where the head cannot be written the trail goes on without. */
  async #setHead(head: Head): Promise<void> {
    this.#head = head;
    this.#headFile ??= await open(headFile(this.#options.folder), FLAGS, 0o600);
    await this.#headFile.write(formatHead(head), 0);
  }

  /** Finds the end of the chain. A line cut short, as by a power failure, is taken out and told in the line after it. */
  #recover(): void {
    const { folder, tell } = this.#options;
    const written = readHead(folder);
    const fd = openSync(trailFile(folder, 0), FLAGS, 0o600);
    try {
      const text = readFileSync(fd, "latin1");
      const end = lastWhole(text);
      const bytes = fstatSync(fd).size - end;
      if (bytes > 0) {
        this.#queue.unshift(this.#text({ kind: "audit-torn", bytes, text: text.slice(end, end + 200) }));
        tell(`audit trail: the last line was cut short; ${bytes} bytes are put into a line of their own`);
        ftruncateSync(fd, end);
      }
      this.#size = end;
      const last = lastLine(text.slice(0, end)) ?? lastLine(readOr(trailFile(folder, 1), ""));
      const seq = last === undefined ? 0 : (parseLine(last)?.seq ?? 0);
      const hash = last === undefined ? NO_HASH : hashOf(last);
      if (written !== undefined && written.seq > seq) {
        this.#queue.unshift(this.#text({ kind: "audit-missing", from: seq + 1, to: written.seq }));
        tell(`audit trail: lines ${seq + 1} to ${written.seq} are gone from its end`);
      }
      this.#head = { seq: Math.max(seq, written?.seq ?? 0), hash, first: written?.first ?? 1 };
      this.#opened = true;
    } finally {
      closeSync(fd);
    }
  }
}

export function readHead(folder: string): Head | undefined {
  return parseHead(readOr(headFile(folder), ""));
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    return otherwise;
  }
}

/** Where the last line that is whole ends. */
function lastWhole(text: string): number {
  let end = text.lastIndexOf("\n") + 1;
  while (end > 0 && parseLine(text.slice(text.lastIndexOf("\n", end - 2) + 1, end - 1)) === undefined) {
    end = text.lastIndexOf("\n", end - 2) + 1;
  }
  return end;
}

/** Of lines that each end in a line break. */
function lastLine(text: string): string | undefined {
  return text === "" ? undefined : text.slice(text.lastIndexOf("\n", text.length - 2) + 1, -1);
}

function firstLine(file: string): number | undefined {
  const text = readOr(file, "");
  return parseLine(text.slice(0, text.indexOf("\n")))?.seq;
}
