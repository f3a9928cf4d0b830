import type { Address } from "../../shared/address.ts";
import type { TimeStep } from "../../shared/brand.ts";
import { NONCE_BYTES, TAG_BYTES } from "../../shared/constants.ts";
import type { SpentSteps } from "./spent-steps.ts";

/** tag || nonce. */
export const ID_BYTES = TAG_BYTES + NONCE_BYTES;

/** Something that works once. */
export interface Use {
  readonly step: TimeStep;
  /** 32 bytes: a packet's tag and nonce, or what `knockId` makes. Never changed once made. */
  readonly id: Uint8Array;
}

/** What a packet is, seen against those used before. `answer` is what `answered` was told, for its sender alone. */
export type Standing<A> =
  | { readonly kind: "new" | "spent-step" | "too-many" }
  | { readonly kind: "duplicate"; readonly answer: A | undefined }
  | { readonly kind: "replay"; readonly first: Address | undefined };

export interface ReplayLimits {
  /** Uses of one secret in one step. */
  readonly perSecret: number;
  /** Uses in all. */
  readonly total: number;
  /** Answers kept for duplicates. */
  readonly answers: number;
}

interface Used<A> {
  readonly source: Address | undefined;
  readonly port: number | undefined;
  answer: A | undefined;
}

const LIMITS: ReplayLimits = { perSecret: 4096, total: 1 << 20, answers: 4096 };
const NEW = { kind: "new" } as const;
const SPENT_STEP = { kind: "spent-step" } as const;
const TOO_MANY = { kind: "too-many" } as const;

/**
 * What was used, for as long as its step can come up again. Only what a device's own key made gets here.
 *
 * Nothing used is ever taken for new: the steps that are forgotten are spent, should the clock be set back.
 */
export class ReplayWindow<A> {
  readonly #limits: ReplayLimits;
  /** step → tag → nonce. */
  readonly #steps = new Map<TimeStep, Map<string, Map<string, Used<A>>>>();
  readonly #answered: Used<A>[] = [];
  #oldestAnswer = 0;
  readonly #spent: SpentSteps;
  #size = 0;
  /** The id that was looked at last, and its text: each packet is asked for three times. */
  #last: { readonly id: Uint8Array; readonly text: readonly [tag: string, nonce: string] } | undefined;

  /** Of the steps that are spent nothing is taken; those that are forgotten here are added to them. */
  constructor(spent: SpentSteps, limits: Partial<ReplayLimits> = {}) {
    this.#spent = spent;
    this.#limits = { ...LIMITS, ...limits };
  }

  get size(): number {
    return this.#size;
  }

  /** What a use would be. Changes nothing. */
  classify(use: Use, source: Address, port: number): Standing<A> {
    if (this.#spent.has(use.step)) return SPENT_STEP;
    const [tag, nonce] = this.#textOf(use.id);
    const uses = this.#steps.get(use.step)?.get(tag);
    const used = uses?.get(nonce);
    if (used !== undefined) {
      if (used.source?.equals(source) !== true) return { kind: "replay", first: used.source };
      return { kind: "duplicate", answer: used.port === port ? used.answer : undefined };
    }
    const full = this.#size >= this.#limits.total || (uses?.size ?? 0) >= this.#limits.perSecret;
    return full ? TOO_MANY : NEW;
  }

  /** Remembers a use. `source` is undefined where nobody knows it any more. */
  record(use: Use, source: Address | undefined, port: number | undefined): void {
    const [tag, nonce] = this.#textOf(use.id);
    const secrets = this.#steps.get(use.step) ?? new Map<string, Map<string, Used<A>>>();
    const uses = secrets.get(tag) ?? new Map<string, Used<A>>();
    if (!uses.has(nonce)) this.#size++;
    uses.set(nonce, { source, port, answer: undefined });
    secrets.set(tag, uses);
    this.#steps.set(use.step, secrets);
  }

  /** Keeps what the sender was told, so that a duplicate can be told the same. The oldest answers are dropped. */
  answered(use: Use, answer: A): void {
    const [tag, nonce] = this.#textOf(use.id);
    const used = this.#steps.get(use.step)?.get(tag)?.get(nonce);
    if (used === undefined) return;
    used.answer = answer;
    const oldest = this.#answered[this.#oldestAnswer];
    if (oldest !== undefined && oldest !== used) oldest.answer = undefined;
    this.#answered[this.#oldestAnswer] = used;
    this.#oldestAnswer = (this.#oldestAnswer + 1) % this.#limits.answers;
  }

  #textOf(id: Uint8Array): readonly [tag: string, nonce: string] {
    if (this.#last?.id !== id) this.#last = { id, text: textOf(id) };
    return this.#last.text;
  }

  /** Forgets what was used in steps before `oldest`. Those steps are spent from now on. */
  forget(oldest: TimeStep): void {
    for (const [step, secrets] of [...this.#steps]) {
      if (step >= oldest) continue;
      for (const uses of secrets.values()) this.#size -= uses.size;
      this.#steps.delete(step);
      this.#spent.add(step);
    }
  }
}

/** What stands for a knock sequence: one secret's, of one step, as its tag is. */
export function knockId(tag: Uint8Array): Uint8Array {
  const id = new Uint8Array(ID_BYTES);
  id.set(tag.subarray(0, TAG_BYTES));
  return id;
}

function textOf(id: Uint8Array): [tag: string, nonce: string] {
  return [
    String.fromCharCode(...id.subarray(0, TAG_BYTES)),
    String.fromCharCode(...id.subarray(TAG_BYTES, ID_BYTES)),
  ];
}
