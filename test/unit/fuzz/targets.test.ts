import { expect, test } from "vitest";
import { kept } from "../../fuzz/corpus.ts";
import { Coverage, fuzz } from "../../fuzz/loop.ts";
import { Random } from "../../fuzz/random.ts";
import { TARGETS } from "../../fuzz/targets.ts";

/** A share of `npm run fuzz` that is the same every time, but for one seed that is new and printed; and every input that once showed a defect. */

const EXECUTIONS = 1_000;
const FRESH = Number(process.env["TOCK_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 32));

console.log(`the new seed of this run: TOCK_FUZZ_SEED=${FRESH}`);

test.each(TARGETS.map((target) => [target.name, target] as const))("%s", (name, target) => {
  const corpus = kept(name);
  for (const { name: file, input } of corpus) {
    expect(() => target.run(input), `test/fuzz/corpus/${name}/${file}`).not.toThrow();
  }
  for (const seed of [1, FRESH]) {
    const inputs = corpus.map(({ input }) => input);
    const outcome = fuzz(target, inputs, new Coverage(), new Random(seed), (done) => done >= EXECUTIONS);
    const { finding } = outcome;
    const shown = finding && Buffer.from(finding.input).toString("hex");
    expect(finding?.error, `TOCK_FUZZ_SEED=${seed}, input ${shown}`).toBeUndefined();
    expect(outcome.executions).toBeGreaterThanOrEqual(EXECUTIONS);
  }
});

test("a defect is found, and made small", () => {
  const target = {
    name: "example",
    seeds: [Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])],
    words: [],
    run: (input: Uint8Array) => {
      if (input.includes(0xff)) throw new Error("found");
    },
  };
  const { finding } = fuzz(target, [], new Coverage(), new Random(7), (done) => done >= 100_000);
  expect(finding?.input).toEqual(Uint8Array.of(0xff));
});
