import { expect, test } from "vitest";
import { AT_ONCE, askForAll, SILENCES } from "../../../client/web/pieces.ts";

/** Pieces that come one ping each: what is lost is asked again, and a server that is silent is left alone. */

const DETAILS = [1, 2, 3, 4, 5, 6, 7, 8, 9];

/** A server that answers a detail with ten times as much, but for the asks (from 0) that are lost. */
function server(isLost: (ask: number, detail: number) => boolean) {
  const asked: number[] = [];
  let now = 0;
  const seen = { asked, most: 0 };
  const ask = async (detail: number): Promise<number | undefined> => {
    const lost = isLost(asked.length, detail);
    asked.push(detail);
    seen.most = Math.max(seen.most, ++now);
    await Promise.resolve();
    now--;
    return lost ? undefined : detail * 10;
  };
  return { ask, seen };
}
const all = DETAILS.map((detail) => detail * 10);

test("each is asked once where nothing is lost, a few at a time, and they come in their order", async () => {
  const { ask, seen } = server(() => false);
  expect(await askForAll(DETAILS, ask)).toEqual(all);
  expect(seen.asked).toEqual(DETAILS);
  expect(seen.most).toBe(AT_ONCE);
});

test.each(DETAILS.map((_, index) => index))(
  "ask %i is lost: that piece alone is asked again",
  async (lost) => {
    const { ask, seen } = server((index) => index === lost);
    expect(await askForAll(DETAILS, ask)).toEqual(all);
    expect(seen.asked.toSorted((a, b) => a - b)).toEqual([...DETAILS, lost + 1].toSorted((a, b) => a - b));
  },
);

test("half of all is lost, again and again", async () => {
  const { ask } = server((index) => index % 2 === 0);
  expect(await askForAll(DETAILS, ask)).toEqual(all);
});

test("a piece that never comes ends it", async () => {
  const { ask, seen } = server((_, detail) => detail === 5);
  expect(await askForAll(DETAILS, ask)).toBeUndefined();
  expect(seen.asked.filter((detail) => detail === 5).length).toBeLessThanOrEqual(2 + SILENCES);
});

test("a server that is silent is asked a few times, and no more", async () => {
  const { ask, seen } = server(() => true);
  expect(await askForAll(DETAILS, ask)).toBeUndefined();
  expect(seen.asked).toHaveLength(AT_ONCE * SILENCES);
});
