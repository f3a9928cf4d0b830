import { expect, test } from "vitest";
import { timeStep } from "../../../shared/brand.ts";
import { KeySchedule } from "../../../shared/key-schedule.ts";
import { SERVER_ID, secretFrom } from "../../support/core.ts";

test("a key that is kept is that of its label and step, whatever was asked for before", () => {
  const schedule = new KeySchedule(secretFrom("a"), SERVER_ID);
  const other = new KeySchedule(secretFrom("a"), SERVER_ID);
  for (const number of [100, 101, 100, 104, 99, 100, 108, 104]) {
    for (const label of ["seal", "ack", "seal"] as const) {
      const step = timeStep(number);
      expect(schedule.aead(label, step)).toEqual(other.derive(label, step));
      expect(schedule.aead(label, step)).toBe(schedule.aead(label, step));
    }
  }
});
