import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TimeStep } from "../../../shared/brand.ts";
import { concat } from "../../../shared/bytes.ts";
import { ReplayWindow } from "../../../server/core/replay-window.ts";
import { SpentSteps } from "../../../server/core/spent-steps.ts";
import { address, bytesFrom } from "../../support/core.ts";

const LIMITS = { perSecret: 3, total: 8, answers: 2 };
const SOURCES = ["192.0.2.1", "192.0.2.2"].map(address);

const step = fc.integer({ min: 1, max: 6 });
const use = fc.record({
  kind: fc.constant("use" as const),
  step,
  secret: fc.constantFrom("a", "b"),
  nonce: fc.integer({ min: 0, max: 4 }),
  source: fc.constantFrom(...SOURCES),
  port: fc.constantFrom(1000, 2000),
});
const forget = fc.record({ kind: fc.constant("forget" as const), oldest: step });
const history = fc.array(fc.oneof({ weight: 5, arbitrary: use }, { weight: 1, arbitrary: forget }), {
  maxLength: 60,
});

describe("the replay window", () => {
  test("takes nothing twice, whatever is forgotten and in any order of steps", () => {
    fc.assert(
      fc.property(history, fc.integer({ min: -1, max: 2 }), (history, floor) => {
        const window = new ReplayWindow<string>(new SpentSteps(floor), LIMITS);
        const everUsed = new Set<string>();
        /** What is remembered, and from where it came. */
        const model = new Map<string, { step: number; secret: string; source: string; port: number }>();
        const spent = new Set<number>();
        for (const action of history) {
          if (action.kind === "forget") {
            window.forget(action.oldest as TimeStep);
            for (const [key, { step }] of model) {
              if (step >= action.oldest) continue;
              model.delete(key);
              spent.add(step);
            }
          } else {
            const { step, secret, nonce, source, port } = action;
            const key = `${step} ${secret} ${nonce}`;
            const id = { step: step as TimeStep, id: idOf(step, secret, nonce) };
            const first = model.get(key);
            const ofSecret = [...model.values()].filter((one) => one.step === step && one.secret === secret);
            const standing = window.classify(id, source, port);
            if (step <= floor || spent.has(step)) {
              expect(standing.kind).toBe("spent-step");
            } else if (first !== undefined) {
              expect(standing.kind).toBe(first.source === source.text ? "duplicate" : "replay");
              const isSame = first.source === source.text && first.port === port;
              if (standing.kind === "duplicate" && !isSame) expect(standing.answer).toBeUndefined();
              if (standing.kind === "duplicate" && isSame)
                expect([key, undefined]).toContain(standing.answer);
              if (standing.kind === "replay") expect(standing.first?.text).toBe(first.source);
            } else if (ofSecret.length === LIMITS.perSecret || model.size === LIMITS.total) {
              expect(standing.kind).toBe("too-many");
            } else {
              expect(standing.kind).toBe("new");
              expect(everUsed.has(key)).toBe(false);
              everUsed.add(key);
              model.set(key, { step, secret, source: source.text, port });
              window.record(id, source, port);
              window.answered(id, key);
              expect(window.classify(id, source, port)).toEqual({ kind: "duplicate", answer: key });
            }
          }
          expect(window.size).toBe(model.size);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

function idOf(step: number, secret: string, nonce: number): Uint8Array {
  return concat(bytesFrom(`tag ${step} ${secret}`, 8), bytesFrom(`nonce ${nonce}`, 24));
}
