import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { tockd } from "../lab/programs.ts";

const [program, ...words] = tockd("--help");

test("a command whose reader went away ends without a word", async () => {
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  const ended = once(child, "exit");
  expect(await text(child.stderr)).toBe("");
  await ended;
  expect(child.exitCode).toBe(0);
});

test("a full disk is told in one line", () => {
  const full = ["-c", '"$@" > /dev/full', "sh", program, ...words];
  expect(spawnSync("sh", full, { encoding: "utf8" })).toMatchObject({
    status: 1,
    stderr: "tock: error: the output cannot be written: ENOSPC\n",
  });
});
