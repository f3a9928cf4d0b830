import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync } from "node:fs";
import { Address } from "../../shared/address.ts";
import { type TimeStep, timeStep, type UnixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { type Skew, stepAt, stepStart } from "../../shared/time-step.ts";
import type { Use } from "../core/replay-window.ts";
import {
  BLOCK,
  decodeHeader,
  decodeSlot,
  encodeHeader,
  encodeSlot,
  freeSlots,
  type Header,
  type Slot,
} from "./journal-file.ts";
import { codeOf, putFile, readBootId, writeAll } from "./journal-io.ts";

/** Slots that a journal starts with and grows by: 64 KiB. */
const CHUNK = 1024;
const MAX_SLOTS = 1 << 20;
const NO_SOURCE = new Uint8Array(16);

export interface JournalOptions {
  readonly path: string;
  /** 16 bytes. */
  readonly serverId: Uint8Array;
  readonly skew: Skew;
  readonly now: UnixMillis;
  /** Locks the open file for this process, as flock(2) does; false where another process holds it. */
  readonly lock: (fd: number) => boolean;
  /** Where the kernel tells its boot id. */
  readonly bootIdPath?: string;
}

/**
 * Why a journal cannot tell what was used: there is none, it is from before the last boot (when what was written last
 * may never have reached the disk), it is another server's, a copy, damaged, or cannot be read.
 */
export type Distrust = "missing" | "reboot" | "foreign" | "copied" | "damaged" | "unreadable";

/** What a journal holds: a use, and where it came from if that is known. */
export interface Entry extends Use {
  readonly source: Address | undefined;
}

interface Contents {
  readonly header: Header;
  readonly slots: readonly (Slot | undefined)[];
}

interface Doubt {
  readonly reason: Distrust;
  /** The last step that a use is known of; -1 = none. */
  readonly known: number;
}

/**
 * The replay journal: what was used is written here before anything is done for it, and read back at the next start.
 *
 * A write goes to the kernel, not to the disk: that outlives the process, and after a loss of power the boot id is
 * another one. A journal that cannot be trusted is replaced by a new one, and every step that could have been accepted
 * until then is refused.
 */
export class Journal {
  /** Why the journal found at the start was not trusted; undefined = it was. */
  readonly distrust: Distrust | undefined;
  /** What was in it at the start. */
  readonly entries: readonly Entry[];
  readonly #path: string;
  readonly #fd: number;
  readonly #block = Buffer.alloc(BLOCK);
  readonly #free: number[] = [];
  readonly #used = new Map<TimeStep, number[]>();
  #header: Header;

  /** Use `openJournal`. */
  constructor(path: string, fd: number, { header, slots }: Contents, distrust?: Distrust) {
    this.#path = path;
    this.#fd = fd;
    this.#header = header;
    this.distrust = distrust;
    const entries: Entry[] = [];
    for (let number = slots.length - 1; number >= 0; number--) {
      const slot = slots[number];
      if (slot === undefined || slot.step <= header.floor) {
        this.#free.push(number);
        continue;
      }
      this.#remember(timeStep(slot.step), number);
      entries.push({ step: timeStep(slot.step), id: slot.id, source: addressOf(slot.source) });
    }
    this.entries = entries;
  }

  /** The last step that is refused whatever comes; -1 = none. */
  get floor(): number {
    return this.#header.floor;
  }

  /** When packets of a right clock are taken again after distrust, in unix milliseconds. */
  get refusingUntil(): UnixMillis {
    return stepStart(timeStep(this.#header.floor + 1));
  }

  /** Writes down a use, before anything is done for it. After an error nothing must be done. */
  append(use: Use, source: Address | undefined): Result<void> {
    let number: number | undefined;
    try {
      if (this.#free.length === 0) this.#grow();
      number = this.#free.pop();
      if (number === undefined) return err(failure(this.#path, "it is full", "EFBIG"));
      const slot = { step: use.step, id: use.id, source: source?.bytes ?? NO_SOURCE };
      writeAll(this.#fd, encodeSlot(this.#block, number, slot), positionOf(number));
      this.#remember(use.step, number);
      return ok(undefined);
    } catch (error) {
      if (number !== undefined) this.#release(number);
      return err(failure(this.#path, "cannot write", codeOf(error)));
    }
  }

  /**
   * Makes room: uses of steps before `oldest` are forgotten, once it is on record that those steps are refused from now
   * on. After an error everything is as before.
   */
  forget(oldest: TimeStep): Result<void> {
    const old = [...this.#used.keys()].filter((step) => step < oldest);
    if (old.length === 0) return ok(undefined);
    const written = this.#writeHeader({ ...this.#header, floor: Math.max(this.#header.floor, ...old) });
    if (!written.ok) return written;
    for (const step of old) {
      for (const number of this.#used.get(step) ?? []) this.#free.push(number);
      this.#used.delete(step);
    }
    return ok(undefined);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #remember(step: TimeStep, number: number): void {
    const numbers = this.#used.get(step);
    if (numbers === undefined) this.#used.set(step, [number]);
    else numbers.push(number);
  }

  /** Takes back a slot that could not be written whole. What stands there now, the next use overwrites. */
  #release(number: number): void {
    this.#free.push(number);
    try {
      writeAll(this.#fd, encodeSlot(this.#block, number), positionOf(number));
    } catch {
      // A torn slot makes a later start distrust the journal, which is right.
    }
  }

  /** Adds free slots; throws where there is no room for them, with the file as long as before. */
  #grow(): void {
    const { capacity } = this.#header;
    const more = Math.min(CHUNK, MAX_SLOTS - capacity);
    if (more === 0) return;
    try {
      writeAll(this.#fd, freeSlots(capacity, more), positionOf(capacity));
      writeAll(this.#fd, encodeHeader({ ...this.#header, capacity: capacity + more }), 0);
    } catch (error) {
      this.#shrinkTo(capacity);
      throw error;
    }
    this.#header = { ...this.#header, capacity: capacity + more };
    for (let number = capacity + more - 1; number >= capacity; number--) this.#free.push(number);
  }

  #shrinkTo(capacity: number): void {
    try {
      writeAll(this.#fd, encodeHeader(this.#header), 0);
      ftruncateSync(this.#fd, positionOf(capacity));
    } catch {
      // As with a torn slot.
    }
  }

  #writeHeader(header: Header): Result<void> {
    try {
      writeAll(this.#fd, encodeHeader(header), 0);
      this.#header = header;
      return ok(undefined);
    } catch (error) {
      return err(failure(this.#path, "cannot write", codeOf(error)));
    }
  }
}

/** Makes the empty journal of a new server, which its first daemon trusts. One that is there already is `exists`. */
export function initialiseJournal(path: string, serverId: Uint8Array): Result<void> {
  try {
    closeSync(
      putFile(
        path,
        "new",
        () => true,
        (inode) => emptyJournal({ serverId, bootId: undefined, floor: -1, inode }),
      ),
    );
    return ok(undefined);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return err(new TockError("exists", `journal: ${path} is there already`));
    return err(failure(path, "cannot make it", codeOf(error)));
  }
}

/** Opens the journal, or puts a new one in the place of what cannot be trusted. Fails where neither is possible. */
export function openJournal(options: JournalOptions): Result<Journal> {
  const bootId = readBootId(options.bootIdPath);
  let fd: number | undefined;
  try {
    fd = openSync(options.path, constants.O_RDWR | constants.O_NOFOLLOW);
    if (!options.lock(fd)) return inUse(options.path, fd);
    const found = inspect(fd, options.serverId, bootId);
    if (!("reason" in found)) return ok(new Journal(options.path, fd, claim(fd, found, bootId)));
    return replace(options, bootId, found, fd);
  } catch (error) {
    return replace(
      options,
      bootId,
      { reason: codeOf(error) === "ENOENT" ? "missing" : "unreadable", known: -1 },
      fd,
    );
  }
}

/** What the open file holds, or why it cannot be trusted. */
function inspect(fd: number, serverId: Uint8Array, bootId: Uint8Array): Contents | Doubt {
  const bytes = readFileSync(fd);
  const header = decodeHeader(bytes.subarray(0, BLOCK));
  const slots: (Slot | undefined)[] = [];
  let damaged = header === undefined || bytes.length !== positionOf(header.capacity);
  for (let at = BLOCK; at + BLOCK <= bytes.length; at += BLOCK) {
    const slot = decodeSlot(bytes.subarray(at, at + BLOCK), slots.length);
    damaged ||= slot === "damaged";
    slots.push(slot === "damaged" ? undefined : slot);
  }
  const known = slots.reduce((last, slot) => Math.max(last, slot?.step ?? -1), header?.floor ?? -1);
  if (header === undefined || damaged) return { reason: "damaged", known };
  if (!sameBytes(header.serverId, serverId)) return { reason: "foreign", known };
  if (header.inode !== fstatSync(fd, { bigint: true }).ino) return { reason: "copied", known };
  if (header.bootId === undefined && known >= 0) return { reason: "damaged", known };
  if (header.bootId !== undefined && !sameBytes(header.bootId, bootId)) return { reason: "reboot", known };
  return { header, slots };
}

/** Marks a new server's journal as used in this boot, durably, before the first use. */
function claim(fd: number, contents: Contents, bootId: Uint8Array): Contents {
  if (contents.header.bootId !== undefined) return contents;
  const header = { ...contents.header, bootId };
  writeAll(fd, encodeHeader(header), 0);
  fsyncSync(fd);
  return { ...contents, header };
}

function replace(
  options: JournalOptions,
  bootId: Uint8Array,
  doubt: Doubt,
  old: number | undefined,
): Result<Journal> {
  const { path, serverId, skew, now, lock } = options;
  const floor = Math.max(doubt.known, stepAt(now) + skew.future);
  try {
    const fd = putFile(path, doubt.reason === "missing" ? "new" : "over", lock, (inode) =>
      emptyJournal({ serverId, bootId, floor, inode }),
    );
    const header = { capacity: CHUNK, serverId, bootId, floor, inode: fstatSync(fd, { bigint: true }).ino };
    return ok(
      new Journal(path, fd, { header, slots: new Array<undefined>(CHUNK).fill(undefined) }, doubt.reason),
    );
  } catch (error) {
    return err(failure(path, `is ${doubt.reason}, and no new one can be made`, codeOf(error)));
  } finally {
    if (old !== undefined) closeSync(old);
  }
}

function emptyJournal(header: Omit<Header, "capacity">): Buffer {
  return Buffer.concat([encodeHeader({ ...header, capacity: CHUNK }), freeSlots(0, CHUNK)]);
}

function inUse(path: string, fd: number): Result<Journal> {
  closeSync(fd);
  const hint = "only one daemon may use it; is tockd running already?";
  return err(new TockError("io", `journal: ${path} is in use by another process`, hint));
}

function failure(path: string, what: string, code: string): TockError {
  const hint =
    code === "ENOSPC"
      ? "the disk is full; nothing opens until there is room"
      : "nothing opens until it can be written";
  return new TockError("io", `journal: ${path}: ${what}: ${code}`, hint);
}

function positionOf(slot: number): number {
  return BLOCK + slot * BLOCK;
}

function addressOf(bytes: Uint8Array): Address | undefined {
  return bytes.every((byte) => byte === 0) ? undefined : new Address(bytes);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
