import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { COMMANDS } from "../../client/command-list.ts";
import { programOf } from "../../scripts/man/tockd.ts";
import { namedSchemas, sectionSchemas } from "../../server/config/schema.ts";
import { run } from "../lab/exec.ts";

/** The manual pages: what man has to say about them, and whether they have everything. Made by scripts/make-man.ts. */

const PAGES = ["tock.1", "tockd.8", "tockd.toml.5"] as const;
type Page = (typeof PAGES)[number];
const pathOf = (page: Page) => fileURLToPath(new URL(`../../packaging/man/${page}`, import.meta.url));
/** The words of a page without its macros and fonts. */
const wordsOf = (page: Page) =>
  readFileSync(pathOf(page), "utf8")
    .replaceAll("\\-", "-")
    .replace(/\\f[BIR]/g, "")
    .replace(/^\.(S[SH]) "(.*)"$/gm, "$2");

/** What a page lacks, with the way to mend it. */
function expectAll(page: Page, wanted: readonly string[]): void {
  const words = wordsOf(page);
  const missing = wanted.filter((word) => !words.split("\n").some((line) => hasWord(line, word)));
  expect(missing, `${page} is out of date: node scripts/make-man.ts`).toEqual([]);
}

function hasWord(line: string, word: string): boolean {
  const at = line.indexOf(word);
  return at >= 0 && !/[a-z-]/.test(line[at + word.length] ?? " ");
}

describe.each(PAGES)("%s", (page) => {
  test("is in order, as man and groff see it", async () => {
    const env = { MANWIDTH: "80", MANPAGER: "cat", LC_ALL: "C.UTF-8" };
    const shown = await run(["man", "--warnings", "-l", pathOf(page)], { env });
    expect(shown).toMatchObject({ code: 0, stderr: "" });
    expect(shown.stdout.length).toBeGreaterThan(2000);
    const strict = await run(["groff", "-man", "-ww", "-Tutf8", pathOf(page)], { env });
    expect(strict).toMatchObject({ code: 0, stderr: "" });
  });

  test("is plain ASCII, and dates nothing", () => {
    const source = readFileSync(pathOf(page), "latin1");
    expect(source).toMatch(/^[\n -~]*$/);
    expect(source).toMatch(/^\.TH "[A-Z.]+" "\d" "" /);
  });
});

test("the pages are as they would be made now", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tock-man-"));
  try {
    const made = await run([
      process.execPath,
      fileURLToPath(new URL("../../scripts/make-man.ts", import.meta.url)),
      folder,
    ]);
    expect([made.code, made.stderr]).toEqual([0, ""]);
    for (const page of PAGES) {
      const same = readFileSync(join(folder, page), "utf8") === readFileSync(pathOf(page), "utf8");
      expect(same, `${page} is out of date: node scripts/make-man.ts`).toBe(true);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("tock(1) has every command and option", async () => {
  const loaded = await Promise.all(Object.values(COMMANDS).map((load) => load()));
  expectAll(
    "tock.1",
    loaded.flatMap(({ command }) => [
      `tock ${command.name}`,
      ...Object.keys(command.options).map((option) => `--${option}`),
    ]),
  );
});

test("tockd(8) has every command and option", () => {
  const all = (command: Command, before: string): string[] => [
    before,
    ...command.options.flatMap(({ long }) => long ?? []),
    ...command.commands.flatMap((child) => all(child, `${before} ${child.name()}`)),
  ];
  const leaves = all(programOf(), "tockd").filter(
    (word) => !/^tockd( device| user| user otp| guard)?$/.test(word),
  );
  expectAll("tockd.8", leaves);
});

test("tockd.toml(5) has every table and key", () => {
  const tables = {
    ...sectionSchemas,
    "services.NAME": namedSchemas.services,
    "users.NAME": namedSchemas.users,
  };
  expectAll("tockd.toml.5", [
    ...Object.keys(tables).map((name) => `[${name}]`),
    ...Object.values(tables).flatMap((schema) => Object.keys(schema.entries)),
  ]);
});
