import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = new URL("../../", import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
  bin: Record<string, string>;
};
// Inside the tree, so that the programs find the packages that stay outside of them.
mkdirSync(join(root, "build"), { recursive: true });
const folder = mkdtempSync(join(root, "build/programs-"));
const programs = Object.keys(manifest.bin);
const bytes = (name: string): string => readFileSync(join(folder, name), "utf8");

beforeAll(() => {
  for (const out of ["one", "two"]) {
    const args = ["scripts/build.ts", "--outdir", relative(root, join(folder, out))];
    execFileSync(process.execPath, args, { cwd: root });
  }
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

test.each(programs)("%s runs as a file and knows its version", (name) => {
  const file = join(folder, "one", `${name}.js`);
  expect(statSync(file).mode & 0o777).toBe(0o755);
  expect(execFileSync(file, ["--version"], { encoding: "utf8" })).toBe(`${manifest.version}\n`);
});

test.each(programs)("%s says what it needs where Node is too old", (name) => {
  const old =
    'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })';
  const args = [
    "--import",
    `data:text/javascript,${encodeURIComponent(old)}`,
    join(folder, "one", `${name}.js`),
  ];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args, "--version"], {
    encoding: "utf8",
  });
  expect([status, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(
    /^tock: error: tockd? needs Node 24\.12 or later, and this is Node 20\.20\.2\ntock: hint: /,
  );
});

test.each(programs)("%s comes out the same each time", (name) => {
  expect(bytes(`one/${name}.js`)).toBe(bytes(`two/${name}.js`));
});

test("the client needs no native code to start", () => {
  expect(bytes("one/tock.js")).not.toMatch(/from "(koffi|@napi-rs\/keyring)"/);
});

test("nothing of the machine that built them is in the programs", () => {
  for (const name of programs) expect(bytes(`one/${name}.js`)).not.toContain(root);
});
