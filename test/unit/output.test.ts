import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

test("a command does what it was asked though nobody reads what it says", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tock-output-"));
  const file = join(folder, "tockd.toml");
  const places = ["--config", file, "--state", join(folder, "state"), "--socket", join(folder, "socket")];
  const [command, ...rest] = tockd("init", "--address", "192.0.2.1", ...places);
  const child = spawn(command, rest, { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  child.stderr.destroy();
  await once(child, "exit");
  expect(child.exitCode).toBe(0);
  expect(existsSync(file) && existsSync(join(folder, "state", "tock.db"))).toBe(true);
  rmSync(folder, { recursive: true });
});

test("a command that fails says so by its exit code though nobody reads why", async () => {
  const [command, ...rest] = tockd("check", "--config", "/nonexistent/tockd.toml");
  const child = spawn(command, rest, { stdio: ["ignore", "pipe", "pipe"] });
  child.stderr.destroy();
  await once(child, "exit");
  expect(child.exitCode).not.toBe(0);
});

test("a full disk is told in one line", () => {
  const full = ["-c", '"$@" > /dev/full', "sh", program, ...words];
  expect(spawnSync("sh", full, { encoding: "utf8" })).toMatchObject({
    status: 1,
    stderr: "tock: error: the output cannot be written: ENOSPC\n",
  });
});
