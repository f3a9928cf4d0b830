import { expect, test } from "vitest";
import { warmUp } from "../../server/warm-up.ts";

test("every packet of the rehearsal goes all the way to its answer", async () => {
  const answered = await new Promise<number>((resolve) => warmUp(resolve));
  expect(answered).toBe(500);
});
