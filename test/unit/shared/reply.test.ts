import { expect, test } from "vitest";
import { isSuccess, RESULTS } from "../../../shared/reply.ts";

test("each result has the number that the protocol gives it", () => {
  expect(Object.fromEntries(RESULTS.map((result, number) => [result, number]))).toEqual({
    opened: 0,
    refused: 1,
    "second-factor": 2,
    expired: 3,
    "rotate-first": 4,
    "firewall-error": 5,
    closed: 6,
    rotated: 7,
    pong: 8,
  });
});

test("only what was done counts as a success", () => {
  expect(RESULTS.filter(isSuccess)).toEqual(["opened", "closed", "rotated", "pong"]);
});
