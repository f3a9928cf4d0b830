import { closeSync, ftruncateSync } from "node:fs";
import { Address } from "../../shared/address.ts";
import { type TimeStep, timeStep, type UnixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { stepStart } from "../../shared/time-step.ts";
import type { Use } from "../core/replay-window.ts";
import { SpentSteps } from "../core/spent-steps.ts";
import {
  encodeHeader,
  encodeSlot,
  encodeSlots,
  freeSlots,
  type Header,
  positionOf,
  SLOT,
  type Slot,
} from "./journal-file.ts";
import { codeOf, writeAll } from "./journal-io.ts";
import { SoonSynced } from "./soon-synced.ts";

/** Slots that a journal starts with and grows by: 64 KiB. */
export const CHUNK = 1024;
/** More uses than are ever remembered at once. */
const MAX_SLOTS = (1 << 20) + 2 * CHUNK;
const NO_SOURCE = new Uint8Array(16);

/**
 * Why a journal cannot tell what was used: there is none, it is from before the last boot (when what was written last
 * may never have reached the disk), it is another server's, a copy, damaged, or cannot be read.
 */
export type Distrust = "missing" | "reboot" | "foreign" | "copied" | "damaged" | "unreadable";

/** A use that the journal held, and where it came from if that is known. */
export interface Entry extends Use {
  readonly source: Address | undefined;
}

export interface Contents {
  readonly header: Header;
  readonly slots: readonly Slot[];
}

/** A journal that is open: what was used is written here before anything is done for it. */
export class Journal {
  /** Why the journal that was found at the start was not trusted; undefined = it was. */
  readonly distrust: Distrust | undefined;
  /** What was in it at the start. */
  readonly entries: readonly Entry[];
  /** Steps of which nothing is to be taken. */
  readonly spent: SpentSteps;
  readonly #path: string;
  readonly #fd: number;
  readonly #sync: SoonSynced;
  #unsynced: (error: TockError) => void = () => undefined;
  readonly #block = Buffer.alloc(SLOT);
  readonly #free: number[] = [];
  readonly #used = new Map<TimeStep, number[]>();
  readonly #single = new Map<TimeStep, number>();
  #header: Header;

  /** Takes over an open, locked file with these contents. */
  constructor(path: string, fd: number, { header, slots }: Contents, distrust?: Distrust) {
    this.distrust = distrust;
    this.#path = path;
    this.#fd = fd;
    this.#sync = new SoonSynced(fd, (code) => this.#unsynced(unsynced(path, code)));
    this.#header = header;
    this.spent = spentIn(header, slots);
    const entries: Entry[] = [];
    for (const [number, slot] of slots.entries()) {
      const step = slot.kind === "free" ? undefined : timeStep(slot.step);
      const isOld = step === undefined || step <= header.floor;
      if (!isOld && slot.kind === "spent") {
        this.#single.set(step, number);
      } else if (!isOld && slot.kind === "use" && !this.spent.single.has(step)) {
        this.#remember(step, number);
        entries.push({ step, id: slot.id, source: addressOf(slot.source) });
      } else {
        this.#free.push(number);
      }
    }
    this.entries = entries;
    // One that was killed may not have come to it.
    if (entries.length > 0) this.#sync.changed();
  }

  /** When packets of a right clock are taken again after distrust, in unix milliseconds. */
  get refusingUntil(): UnixMillis {
    return stepStart(timeStep(Math.max(this.spent.floor, this.spent.doubt) + 1));
  }

  /** `told` hears that what was written cannot be synced: a loss of power would lose it. */
  onUnsynced(told: (error: TockError) => void): void {
    this.#unsynced = told;
  }

  /** Writes down a use, and has it synced soon. After an error nothing must be done for it. */
  append(use: Use, source: Address | undefined): Result<void> {
    let number: number | undefined;
    try {
      if (this.#free.length === 0) this.#grow();
      number = this.#free.pop();
      if (number === undefined) return err(failure(this.#path, "EFBIG"));
      this.#write(number, { kind: "use", step: use.step, id: use.id, source: source?.bytes ?? NO_SOURCE });
      this.#remember(use.step, number);
      this.#sync.changed();
      return ok(undefined);
    } catch (error) {
      if (number !== undefined) this.#release(number);
      return err(failure(this.#path, codeOf(error)));
    }
  }

  /**
   * Makes room: what was used in steps before `oldest` is forgotten, once it is on record that those steps are spent.
   * `newest` is the last step of the window. After an error nothing must be forgotten elsewhere; call again.
   */
  forget(oldest: TimeStep, newest: TimeStep): Result<void> {
    try {
      this.spent.follow(newest);
      for (const [step, numbers] of [...this.#used]) if (step < oldest) this.#spend(step, numbers);
      const { floor, doubt } = this.spent;
      if (floor !== this.#header.floor || doubt !== this.#header.doubt) this.#writeHeader({ floor, doubt });
      for (const [step, number] of [...this.#single]) {
        if (this.spent.single.has(step)) continue;
        this.#single.delete(step);
        this.#free.push(number);
      }
      return ok(undefined);
    } catch (error) {
      return err(failure(this.#path, codeOf(error)));
    }
  }

  /**
   * The clock has jumped forward: doubts every step up to `newest`, the last of the window that is now. What a crash
   * lost may have been used there, before the clock was wrong. After an error the doubt holds for this process alone.
   */
  extendDoubt(newest: TimeStep): Result<void> {
    try {
      if (this.spent.extend(newest)) this.#writeHeader({ doubt: newest });
      return ok(undefined);
    } catch (error) {
      return err(failure(this.#path, codeOf(error)));
    }
  }

  close(): void {
    this.#sync.close();
    closeSync(this.#fd);
  }

  /** One of the step's slots says from now on that it is spent; the others are free. */
  #spend(step: TimeStep, numbers: readonly number[]): void {
    const [first, ...others] = numbers;
    if (first === undefined) return;
    this.#write(first, { kind: "spent", step });
    this.spent.add(step);
    this.#single.set(step, first);
    this.#used.delete(step);
    for (const number of others) this.#free.push(number);
  }

  #remember(step: TimeStep, number: number): void {
    const numbers = this.#used.get(step);
    if (numbers === undefined) this.#used.set(step, [number]);
    else numbers.push(number);
  }

  #write(number: number, slot: Slot): void {
    writeAll(this.#fd, encodeSlot(this.#block, number, slot), positionOf(number));
  }

  /** Takes back a slot that could not be written whole. What stands there now, the next use overwrites. */
  #release(number: number): void {
    this.#free.push(number);
    try {
      this.#write(number, { kind: "free" });
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
      writeAll(this.#fd, encodeSlots(capacity, freeSlots(more)), positionOf(capacity));
      this.#writeHeader({ capacity: capacity + more });
    } catch (error) {
      this.#shrinkTo(capacity);
      throw error;
    }
    for (let number = capacity; number < capacity + more; number++) this.#free.push(number);
  }

  #shrinkTo(capacity: number): void {
    try {
      this.#writeHeader({ capacity });
      ftruncateSync(this.#fd, positionOf(capacity));
    } catch {
      // As with a torn slot.
    }
  }

  #writeHeader(changes: Partial<Header>): void {
    const header = { ...this.#header, ...changes };
    writeAll(this.#fd, encodeHeader(header), 0);
    this.#header = header;
  }
}

/** The spent steps that a journal tells of. */
export function spentIn(header: Header, slots: readonly Slot[]): SpentSteps {
  const single = slots.flatMap((slot) => (slot.kind === "spent" ? [timeStep(slot.step)] : []));
  const after = single.filter((step) => step > header.floor);
  return new SpentSteps(header.floor, after, header.doubt);
}

function failure(path: string, code: string): TockError {
  const hint =
    code === "ENOSPC"
      ? "the disk is full; nothing opens until there is room"
      : "nothing opens until it can be written";
  return new TockError("io", `journal: cannot write to ${path}: ${code}`, hint);
}

function unsynced(path: string, code: string): TockError {
  const hint = "uses are written down all the same; a loss of power would lose the last ones";
  return new TockError("io", `journal: cannot sync ${path} to its disk: ${code}`, hint);
}

function addressOf(bytes: Uint8Array): Address | undefined {
  return bytes.every((byte) => byte === 0) ? undefined : new Address(bytes);
}
