import { chmodSync, chownSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadSettings } from "../../../server/config/load.ts";
import { scratch } from "../../support/tockd.ts";

const GOOD = `[server]\nname = "s"\naddresses = ["203.0.113.7"]\n[services.ssh]\nports = ["tcp/22"]\n`;
const isRoot = process.geteuid?.() === 0;

/** Writes a file and loads it; the first error's code and message with the path as FILE, or "ok". */
function load(
  contents: string | Buffer,
  prepare: (file: string, folder: string) => void = () => undefined,
): string {
  const folder = scratch();
  const file = join(folder, "tockd.toml");
  writeFileSync(file, contents, { mode: 0o600 });
  prepare(file, folder);
  const result = loadSettings(file);
  if (result.ok) return "ok";
  return result.error.map(({ code, message }) => `${code}: ${message.replace(file, "FILE")}`).join("\n");
}

test("a file of one's own is read, also through a link", () => {
  expect(load(GOOD)).toBe("ok");
  expect(load(GOOD, (file) => chmodSync(file, 0o644))).toBe("ok");
  const folder = scratch();
  const result = load(GOOD, (file) => symlinkSync(file, join(folder, "link.toml")));
  expect(result).toBe("ok");
});

test("a file that others can write is refused", () => {
  expect(load(GOOD, (file) => chmodSync(file, 0o620))).toBe(
    "permission: FILE: the file can be written by others (mode 0620)",
  );
  expect(load(GOOD, (file) => chmodSync(file, 0o602))).toBe(
    "permission: FILE: the file can be written by others (mode 0602)",
  );
  expect(load(GOOD, (file) => chmodSync(file, 0o1602))).toBe(
    "permission: FILE: the file can be written by others (mode 0602)",
  );
});

test("a file in a folder that others can write is refused, unless the folder is sticky", () => {
  expect(load(GOOD, (_file, folder) => chmodSync(folder, 0o777))).toBe(
    "permission: FILE: its folder can be written by others (mode 0777)",
  );
  expect(load(GOOD, (_file, folder) => chmodSync(folder, 0o1777))).toBe("ok");
});

test.runIf(isRoot)("a file or folder of another user is refused [needs root]", () => {
  expect(load(GOOD, (file) => chownSync(file, 12345, 0))).toBe(
    "permission: FILE: the file belongs to user 12345",
  );
  expect(load(GOOD, (_file, folder) => chownSync(folder, 12345, 0))).toBe(
    "permission: FILE: its folder belongs to user 12345",
  );
});

test("what is no file is refused", () => {
  const folder = scratch();
  mkdirSync(join(folder, "d"));
  const codes = ["d", "none.toml", "none/none.toml"].map((name) => {
    const result = loadSettings(join(folder, name));
    return result.ok ? "ok" : result.error.map(({ code }) => code);
  });
  expect(codes).toEqual([["permission"], ["not-found"], ["not-found"]]);
});

test("a file with two names is read as any other: its own mode and owner count", () => {
  expect(load(GOOD, (file, folder) => linkSync(file, join(folder, "other.toml")))).toBe("ok");
});

test("what is no UTF-8, and what is too long", () => {
  expect(load(Buffer.from([0x23, 0xff, 0xfe]))).toBe("invalid: FILE: expected UTF-8 text");
  expect(load(`${GOOD}#${"x".repeat(1024 * 1024)}`)).toMatch(
    /^invalid: FILE: expected at most 1048576 bytes, got \d+$/,
  );
});
