import { closeSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { hex } from "../shared/bytes.ts";
import { TockError } from "../shared/errors.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Trial } from "./core/firewall.ts";
import { codeOf, putFile, readBootId } from "./store/journal-io.ts";

/** A guard on trial, and the connection that it was asked for by, if it came by SSH: it cannot confirm itself. */
export interface TrialWish extends Trial {
  readonly kind: "trial";
  readonly client: string | undefined;
  readonly clientPort: number | undefined;
}

export type Wish = { readonly kind: "on" } | { readonly kind: "off" } | TrialWish;

const OFF = { kind: "off" } as const;
const ON = { kind: "on" } as const;

/**
 * Whether the guard is wanted, kept in the state folder so that it outlives the daemon and the machine's restart. A trial
 * does not outlive the restart: the machine then starts without the guard.
 */
export class GuardWish {
  readonly state: string;
  readonly #file: string;
  /** It is off, though the file that says otherwise could not be removed. */
  #isOff = false;

  constructor(state: string) {
    this.state = state;
    this.#file = join(state, "guard");
  }

  get isOn(): boolean {
    return this.read().kind === "on";
  }

  /** A file that is there but cannot be read, or understood, counts as on. */
  read(): Wish {
    if (this.#isOff) return OFF;
    try {
      const text = readFileSync(this.#file, "utf8").trim();
      if (text === "off") return OFF;
      return text.startsWith("trial ") ? readTrial(text.slice(6)) : ON;
    } catch (error) {
      return codeOf(error) === "ENOENT" ? OFF : ON;
    }
  }

  set(on: boolean): Result<void> {
    return on ? this.#write("on") : this.#remove();
  }

  setTrial({ start, end, client, clientPort }: Omit<TrialWish, "kind">): Result<void> {
    const trial = { start, end, client, clientPort, boot: hex(readBootId()) };
    return this.#write(`trial ${JSON.stringify(trial)}`);
  }

  /** As it was read before. */
  putBack(wish: Wish): Result<void> {
    return wish.kind === "trial" ? this.setTrial(wish) : this.set(wish.kind === "on");
  }

  #write(text: string): Result<void> {
    try {
      const contents = (): Buffer => Buffer.from(`${text}\n`);
      closeSync(putFile(this.#file, "over", () => true, contents));
      this.#isOff = false;
      return ok(undefined);
    } catch (error) {
      return err(new TockError("io", `guard: ${this.#file} cannot be written: ${codeOf(error)}`));
    }
  }

  /** Where the file cannot be removed it is off for this process alone. */
  #remove(): Result<void> {
    try {
      unlinkSync(this.#file);
      this.#isOff = false;
      return ok(undefined);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return ok(undefined);
      this.#isOff = true;
      const why = `${this.#file} cannot be written: ${codeOf(error)}`;
      const hint = "make the state folder writable again, then: tockd guard off";
      return err(new TockError("io", `guard: off, but ${why}, so it comes back at the next start`, hint));
    }
  }
}

function readTrial(text: string): Wish {
  try {
    const { start, end, boot, client, clientPort } = JSON.parse(text) as Record<string, unknown>;
    if (boot !== hex(readBootId())) return OFF;
    if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end)) return ON;
    return {
      kind: "trial",
      start: Number(start),
      end: Number(end),
      client: typeof client === "string" ? client : undefined,
      clientPort: typeof clientPort === "number" ? clientPort : undefined,
    };
  } catch {
    return ON;
  }
}

/** Milliseconds until a trial is over; 0 = it is. A clock that was set back to before its start ends it as well. */
export function trialLeft({ start, end }: Trial, now: number): number {
  return now < start * 1000 ? 0 : Math.max(0, end * 1000 - now);
}
