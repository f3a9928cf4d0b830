import { closeSync, constants, fstatSync, fsyncSync, openSync, readFileSync } from "node:fs";
import { type TimeStep, timeStep, type UnixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { type Skew, stepAt } from "../../shared/time-step.ts";
import { SpentSteps } from "../core/spent-steps.ts";
import {
  decodeHeader,
  decodeSlot,
  encodeHeader,
  encodeSlots,
  freeSlots,
  HEADER,
  type Header,
  positionOf,
  SLOT,
  type Slot,
} from "./journal-file.ts";
import { codeOf, putFile, readBootId, writeAll } from "./journal-io.ts";
import { CHUNK, type Contents, type Distrust, Journal, spentIn } from "./live-journal.ts";

export type { Journal };

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

/** A journal that cannot be trusted, and the steps that something is known to have been used in all the same. */
interface Doubtful {
  readonly reason: Distrust;
  readonly spent: SpentSteps;
}

/** Makes the empty journal of a new server, which its first daemon trusts. One that is there already is `exists`. */
export function initialiseJournal(path: string, serverId: Uint8Array): Result<void> {
  const header = { capacity: CHUNK, serverId, bootId: undefined, floor: -1, doubt: -1 };
  try {
    closeSync(create(path, "new", () => true, header, freeSlots(CHUNK)).fd);
    return ok(undefined);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return err(new TockError("exists", `journal: ${path} is there already`));
    return err(new TockError("io", `journal: cannot make ${path}: ${codeOf(error)}`));
  }
}

/**
 * Opens the replay journal.
 *
 * A write to it goes to the kernel, which outlives the process, and soon after to the disk; after a loss of power, which can
 * take the last of it, the boot id is another one. A journal that cannot be trusted is replaced by a new one, of which every step that could have been
 * accepted until now is spent. Fails where that cannot be done, or another process has the journal.
 */
export function openJournal(options: JournalOptions): Result<Journal> {
  const { path, serverId, lock } = options;
  const bootId = readBootId(options.bootIdPath);
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
    if (!lock(fd)) return inUse(path, fd);
    const found = inspect(fd, serverId, bootId);
    if (!("reason" in found)) return ok(new Journal(path, fd, claim(fd, found, bootId)));
    return replace(options, bootId, found, fd);
  } catch (error) {
    const reason = codeOf(error) === "ENOENT" ? "missing" : "unreadable";
    return replace(options, bootId, { reason, spent: new SpentSteps() }, fd);
  }
}

/** What the open file holds, or why it cannot be trusted. */
function inspect(fd: number, serverId: Uint8Array, bootId: Uint8Array): Contents | Doubtful {
  const bytes = readFileSync(fd);
  const header = decodeHeader(bytes.subarray(0, HEADER));
  const slots: Slot[] = [];
  let isWhole = true;
  for (let at = HEADER; at + SLOT <= bytes.length; at += SLOT) {
    const slot = decodeSlot(bytes.subarray(at, at + SLOT), slots.length);
    isWhole &&= slot !== undefined;
    slots.push(slot ?? { kind: "free" });
  }
  const isEmpty = slots.every(({ kind }) => kind === "free") && header?.floor === -1;
  if (header === undefined || !isWhole || bytes.length !== positionOf(header.capacity)) {
    return { reason: "damaged", spent: allSpent(header, slots) };
  }
  if (!sameBytes(header.serverId, serverId)) return { reason: "foreign", spent: new SpentSteps() };
  if (header.inode !== inodeOf(fd)) return { reason: "copied", spent: allSpent(header, slots) };
  if (header.bootId === undefined && !isEmpty) return { reason: "damaged", spent: allSpent(header, slots) };
  if (header.bootId === undefined || sameBytes(header.bootId, bootId)) return { header, slots };
  return { reason: "reboot", spent: allSpent(header, slots) };
}

/** Every step that is known to be spent or used. */
function allSpent(header: Header | undefined, slots: readonly Slot[]): SpentSteps {
  const used = slots.flatMap((slot): TimeStep[] => (slot.kind === "free" ? [] : [timeStep(slot.step)]));
  const { floor, single, doubt } = spentIn(header ?? NO_HEADER, slots);
  return new SpentSteps(floor, [...single, ...used.filter((step) => step > floor)], doubt);
}

const NO_HEADER = {
  capacity: 0,
  serverId: new Uint8Array(16),
  bootId: undefined,
  floor: -1,
  doubt: -1,
  inode: 0n,
};

/** Marks a new server's journal as used in this boot, durably, before the first use. */
function claim(fd: number, { header, slots }: Contents, bootId: Uint8Array): Contents {
  if (header.bootId !== undefined) return { header, slots };
  const claimed = { ...header, bootId };
  writeAll(fd, encodeHeader(claimed), 0);
  fsyncSync(fd);
  return { header: claimed, slots };
}

/** Puts a new journal in the place of a doubtful one. `old` is open, and is closed. */
function replace(
  options: JournalOptions,
  bootId: Uint8Array,
  doubtful: Doubtful,
  old?: number,
): Result<Journal> {
  const { path, serverId, skew, now, lock } = options;
  const { reason } = doubtful;
  const spent = refusing(doubtful, timeStep(stepAt(now) + skew.future));
  const slots: Slot[] = [...spent.single].map((step) => ({ kind: "spent", step }));
  slots.push(...freeSlots(CHUNK - (slots.length % CHUNK)));
  const { floor, doubt } = spent;
  try {
    const header = { capacity: slots.length, serverId, bootId, floor, doubt };
    const made = create(path, reason === "missing" ? "new" : "over", lock, header, slots);
    return ok(new Journal(path, made.fd, { header: made.header, slots }, reason));
  } catch (error) {
    const message = `journal: ${path} is ${reason}, and no new one can be made: ${codeOf(error)}`;
    return err(new TockError("io", message, "make room, or make the state folder writable, and start again"));
  } finally {
    if (old !== undefined) closeSync(old);
  }
}

/**
 * The spent steps of the new journal: all up to `newest`, the last that could have been accepted. After a reboot all but
 * the last uses are known: that is a doubt, which follows a clock that started ahead and is put right.
 */
function refusing({ reason, spent }: Doubtful, newest: TimeStep): SpentSteps {
  const isReboot = reason === "reboot";
  const floor = isReboot ? spent.floor : Math.max(spent.floor, newest);
  const single = [...spent.single].filter((step) => step > floor);
  const all = new SpentSteps(floor, single, isReboot ? Math.max(spent.doubt, newest) : spent.doubt);
  all.follow(newest);
  return all;
}

function create(
  path: string,
  how: "new" | "over",
  lock: (fd: number) => boolean,
  header: Omit<Header, "inode">,
  slots: readonly Slot[],
): { fd: number; header: Header } {
  const fd = putFile(path, how, lock, (inode) =>
    Buffer.concat([encodeHeader({ ...header, inode }), encodeSlots(0, slots)]),
  );
  return { fd, header: { ...header, inode: inodeOf(fd) } };
}

function inUse(path: string, fd: number): Result<Journal> {
  closeSync(fd);
  const hint = "only one daemon may use it; is tockd running already?";
  return err(new TockError("io", `journal: ${path} is in use by another process`, hint));
}

function inodeOf(fd: number): bigint {
  return fstatSync(fd, { bigint: true }).ino;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
