import { mutate } from "./mutate.ts";
import type { Random } from "./random.ts";

/** What is fuzzed. */
export interface Target {
  readonly name: string;
  /** Inputs to begin with. */
  readonly seeds: readonly Uint8Array[];
  /** Byte strings that mean something to the target. */
  readonly words: readonly Uint8Array[];
  /** Throws where the input shows a defect. Depends on nothing but the input. */
  readonly run: (input: Uint8Array) => void;
}

export interface Finding {
  readonly target: string;
  readonly input: Uint8Array;
  readonly error: unknown;
}

export interface Outcome {
  readonly executions: number;
  /** Transitions between branches that were seen; 0 where the target has no probes. */
  readonly transitions: number;
  readonly corpus: number;
  readonly milliseconds: number;
  readonly finding: Finding | undefined;
}

/** Of this many transitions the place is kept by a hash of 16 bits. */
const MAP = 65_536;
const MOST_KEPT = 20_000;

/** What the probes write to. */
export class Coverage {
  readonly #seen = new Uint8Array(MAP);
  #last = 0;
  total = 0;

  /** Makes the probes' function, which must be there before the targets are loaded. */
  install(): void {
    Object.assign(globalThis, {
      __tock: (place: number): void => {
        const transition = (this.#last ^ Math.imul(place, 0x9e37)) & (MAP - 1);
        this.#last = place;
        if (this.#seen[transition] === 0) {
          this.#seen[transition] = 1;
          this.total++;
        }
      },
    });
  }

  /** True where `body` took a transition that was never seen before. */
  isNew(body: () => void): boolean {
    const before = this.total;
    this.#last = 0;
    body();
    return this.total > before;
  }
}

/** Runs a target on its seeds and on mutants of what proved interesting, until `end` says so or something is found. */
export function fuzz(
  target: Target,
  kept: readonly Uint8Array[],
  coverage: Coverage,
  random: Random,
  end: (executions: number) => boolean,
): Outcome {
  const corpus = [...target.seeds, ...kept];
  if (corpus.length === 0) corpus.push(new Uint8Array(0));
  const before = coverage.total;
  const start = performance.now();
  let executions = 0;
  const outcome = (finding?: Finding): Outcome => ({
    executions,
    transitions: coverage.total - before,
    corpus: corpus.length,
    milliseconds: performance.now() - start,
    finding,
  });
  let input: Uint8Array = corpus[0]!;
  try {
    for (input of [...corpus]) {
      executions++;
      coverage.isNew(() => target.run(input));
    }
    while (!end(executions)) {
      // What was found last has been tried least.
      const index = random.below(2) === 0 ? random.below(corpus.length) : corpus.length - 1 - random.below(8);
      input = mutate(corpus[Math.max(0, index)]!, random.pick(corpus), target.words, random);
      executions++;
      const isNew = coverage.isNew(() => target.run(input));
      if (isNew && corpus.length < MOST_KEPT) corpus.push(input.slice());
    }
  } catch (error) {
    return outcome({ target: target.name, input: smallest(target, input), error });
  }
  return outcome();
}

/** Takes away whatever can be taken away while the target still fails. */
function smallest(target: Target, input: Uint8Array): Uint8Array {
  let best = input.slice();
  for (let size = best.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= best.length; ) {
      const less = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + size)]);
      if (fails(target, less)) best = less;
      else at += size;
    }
  }
  return best;
}

function fails(target: Target, input: Uint8Array): boolean {
  try {
    target.run(input);
    return false;
  } catch {
    return true;
  }
}
