import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addressDetails,
  answerWord,
  CLOCK_DETAIL,
  readAddress,
  readAnswerWord,
  secondsAhead,
} from "../../../shared/answer-word.ts";
import { unixMillis } from "../../../shared/brand.ts";
import { address, answer } from "./arbitraries.ts";

const detail = fc.integer({ min: 0, max: CLOCK_DETAIL });

describe("answer word", () => {
  test("is a port that browsers take, whatever the answer", () => {
    fc.assert(
      fc.property(answer, detail, (answer, detail) => {
        const word = answerWord(answer, detail);
        expect(Number.isInteger(word) && word >= 1 && word <= 65535).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("tells the result, and the lifetime of what was opened", () => {
    fc.assert(
      fc.property(answer, (answer) => {
        const lifetime = answer.result === "opened" ? Math.min(Math.max(answer.lifetime, 1), 65279) : 0;
        expect(readAnswerWord(answerWord(answer, 0))).toEqual({ result: answer.result, lifetime });
      }),
      { numRuns: 500 },
    );
  });

  test("never tells a refusal as something opened, whatever was asked for", () => {
    fc.assert(
      fc.property(answer, detail, (answer, detail) => {
        fc.pre(answer.result !== "opened" && answer.result !== "pong");
        expect(readAnswerWord(answerWord(answer, detail))?.result).toBe(answer.result);
      }),
    );
  });

  test("gives an address piece by piece", () => {
    fc.assert(
      fc.property(answer, address, (answer, source) => {
        const words = addressDetails(source.family).map((detail) =>
          answerWord({ ...answer, result: "pong", source }, detail),
        );
        expect(readAddress(words, source.family).text).toBe(source.text);
      }),
    );
  });

  test("gives the clock, as long as it is less than four and a half hours off", () => {
    const now = fc.integer({ min: 2 ** 40, max: 2 ** 42 }).map(unixMillis);
    fc.assert(
      fc.property(answer, now, fc.integer({ min: -16_384, max: 16_383 }), (answer, now, ahead) => {
        const serverTime = unixMillis(now + ahead * 1000);
        const word = answerWord({ ...answer, result: "pong", serverTime }, CLOCK_DETAIL);
        expect(secondsAhead(word, now)).toBe(ahead);
      }),
    );
  });
});
