import { expect, test } from "vitest";
import { Reloader, type ReloaderParts } from "../../server/reloader.ts";
import { TockError } from "../../shared/errors.ts";
import { err } from "../../shared/result.ts";

test("after a reload that ended in an exception the next one reads the configuration again", async () => {
  let reads = 0;
  const reloader = new Reloader({
    source: {
      mistakes: [],
      reread: () => {
        if (++reads === 1) throw new Error("EMFILE");
        return err([new TockError("config", "a mistake")]);
      },
    },
    emit: () => undefined,
  } as unknown as ReloaderParts);
  await expect(reloader.reload()).rejects.toThrow("EMFILE");
  const again = { changed: [], advice: [], mistakes: [{ code: "config", message: "a mistake" }] };
  await expect(reloader.reload()).resolves.toEqual(again);
  expect(reads).toBe(2);
});

test("what stands in for a file with mistakes is not kept in the place of what was taken", () => {
  const kept: string[] = [];
  const parts = (mistakes: readonly TockError[]): ReloaderParts =>
    ({
      source: { mistakes, keep: (settings: unknown) => kept.push(String(settings)) },
      settings: () => (mistakes.length > 0 ? "cut down" : "taken"),
    }) as unknown as ReloaderParts;
  new Reloader(parts([new TockError("config", "a mistake")])).keep();
  new Reloader(parts([])).keep();
  expect(kept).toEqual(["taken"]);
});
