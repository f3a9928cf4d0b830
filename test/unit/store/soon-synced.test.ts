import { closeSync, openSync } from "node:fs";
import { expect, test } from "vitest";
import { SoonSynced } from "../../../server/store/soon-synced.ts";
import { eventually } from "../../lab/wait.ts";

test("what cannot be synced is told, once", async () => {
  const told: string[] = [];
  // A device that knows no fdatasync.
  const fd = openSync("/dev/null", "w");
  const sync = new SoonSynced(fd, (code) => told.push(code));
  sync.changed();
  await eventually("it is told", () => Promise.resolve(told.length > 0));
  sync.changed();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(told).toEqual(["EINVAL"]);
  sync.changed();
  sync.close();
  closeSync(fd);
});
