import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** docs/OPERATIONS.md tells how the package's units are made to fit an installation by npm. */

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const block = /### Without the package\n[^]*?```sh\n([^]*?)```/.exec(read("docs/OPERATIONS.md"))?.[1] ?? "";

test.each(["tockd", "tock-guard"])("%s.service starts the program that npm has installed", (unit) => {
  const expression = /sed "([^"]+)"/.exec(block)?.[1]?.replace("$(command -v tockd)", "/usr/local/bin/tockd");
  const text = read(`packaging/systemd/${unit}.service`);
  const moved = execFileSync("sed", [expression ?? "no expression"], { input: text, encoding: "utf8" });
  expect(moved).not.toContain("/usr/sbin");
  expect(moved.match(/^Exec\w+=\/usr\/local\/bin\/tockd /gm)?.length).toBe(text.match(/^Exec/gm)?.length);
});

test("what it copies is in npm's package", () => {
  const { files } = JSON.parse(read("package.json")) as { files: string[] };
  expect(files).toContain("packaging");
  for (const [, path = ""] of block.matchAll(/tock\/(packaging\/[\w.-]+\.conf)/g))
    expect(read(path)).not.toBe("");
});
