import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ACCESS_NOTES, FWKNOPD_NOTES } from "../../server/import/fwknop-notes.ts";
import { KNOCKD_NOTES } from "../../server/import/knockd.ts";

/** docs/MIGRATION.md and the importers say the same. */

const text = readFileSync(new URL("../../docs/MIGRATION.md", import.meta.url), "utf8");

describe("docs/MIGRATION.md", () => {
  const settings = { ...FWKNOPD_NOTES, ...ACCESS_NOTES };
  test.each(Object.entries(settings))("has a row for %s", (name, why) => {
    const shown = name.startsWith("%") ? name : name.toUpperCase();
    expect(text).toContain(`| \`${shown}\` | ${why} |`);
  });

  test("names every setting of knockd's", () => {
    for (const name of Object.keys(KNOCKD_NOTES)) expect(text.toLowerCase()).toContain(`\`${name}\``);
  });
});
