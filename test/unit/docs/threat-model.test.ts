import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/** What docs/THREAT-MODEL.md says is shown by a test is shown by a test. */

const root = fileURLToPath(new URL("../../../", import.meta.url));
const DOCUMENT = "docs/THREAT-MODEL.md";
const text = readFileSync(resolve(root, DOCUMENT), "utf8");
const links = [...text.matchAll(/\[([^\]]+)\]\(([^)#]+)\)/g)];

test("it names tests of every kind", () => {
  const tests = new Set(links.map(([, , path = ""]) => path).filter((path) => path.endsWith(".test.ts")));
  expect(tests.size).toBeGreaterThan(20);
});

test.each(links.map(([, name = "", path = ""]) => [name, path] as const))("%s is there", (name, path) => {
  expect(existsSync(resolve(root, dirname(DOCUMENT), path))).toBe(true);
  if (path.startsWith("../test/")) expect(path).toBe(`../${name}`);
});

describe("a test that is named", () => {
  /** A quoted name belongs to the file that was linked last before it on its line. */
  const named = text.split("\n").flatMap((line) => {
    const found: (readonly [string, string])[] = [];
    let file = "";
    for (const [, path, name] of line.matchAll(/\]\(\.\.\/(test\/[^)]+)\)|"([^"]+)"/g)) {
      if (path !== undefined) file = path;
      else if (name !== undefined && file !== "") found.push([file, name]);
    }
    return found;
  });

  test("is one of many", () => expect(named.length).toBeGreaterThan(20));

  test.each(named)("%s: %s", (file, name) => {
    expect(readFileSync(resolve(root, file), "utf8")).toContain(name);
  });
});
