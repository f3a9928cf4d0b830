import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "smol-toml";
import { settingsDocument } from "../../../server/config/format-settings.ts";
import { parseSettings } from "../../../server/config/parse.ts";
import { namedSchemas, sectionSchemas } from "../../../server/config/schema.ts";
import { configTemplate } from "../../../server/config/template.ts";

const text = readFileSync(new URL("../../../docs/CONFIG.md", import.meta.url), "utf8");
const parts = text.split(/^## /m).slice(1);
const section = (table: string): string => parts.find((part) => part.startsWith(`[${table}]\n`)) ?? "";
const rows = (table: string): string[][] =>
  [...section(table).matchAll(/^\| `(.*)$/gm)].map(([line]) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
const examples = (part: string): string[] =>
  [...part.matchAll(/^```toml\n([^]*?)^```$/gm)].map(([, toml = ""]) => toml);

const tables = {
  ...sectionSchemas,
  "services.NAME": namedSchemas.services,
  "users.NAME": namedSchemas.users,
} as const;

describe("docs/CONFIG.md keeps step with the schema", () => {
  test("it describes every table and no other", () => {
    const described = parts.flatMap((part) => /^\[(.*)\]\n/.exec(part)?.[1] ?? []);
    expect(described).toEqual(Object.keys(tables));
  });

  test.each(Object.entries(tables))("[%s] has every key and no other", (table, schema) => {
    expect(rows(table).map(([key]) => key)).toEqual(Object.keys(schema.entries).map((key) => `\`${key}\``));
  });

  test.each(Object.keys(tables))("[%s] shows every key in its example", (table) => {
    const [example = ""] = examples(section(table));
    const path = table.replace("NAME", table === "services.NAME" ? "ssh" : "alice").split(".");
    const shown = path.reduce<unknown>(
      (value, key) => (value as Record<string, unknown>)[key],
      parse(example),
    );
    expect(Object.keys(shown as object)).toEqual(rows(table).map(([key]) => key?.slice(1, -1)));
  });

  test("the defaults are those of a file that leaves them out", () => {
    const small = `[server]\nname = "s"\naddresses = ["h"]\n[services.NAME]\nports = ["tcp/22"]\n[users.NAME]\nservices = ["NAME"]\n`;
    const settings = parseSettings(small.replaceAll("NAME", "x"), "FILE");
    if (!settings.ok) throw new Error("the small file is wrong");
    const effective = settingsDocument(settings.value) as Record<string, Record<string, unknown>>;
    for (const table of Object.keys(tables)) {
      const [head = "", name] = table.split(".");
      const values =
        name === undefined ? effective[head] : (effective[head]?.["x"] as Record<string, unknown>);
      for (const [key = "", , fallback = ""] of rows(table)) {
        const value = values?.[key.slice(1, -1)];
        if (fallback === "none") expect([table, key, value]).toEqual([table, key, undefined]);
        else if (fallback !== "needed")
          expect([table, key, fallback]).toEqual([table, key, `\`${JSON.stringify(value)}\``]);
      }
    }
  });

  test("a key is said to be needed where the file is wrong without it", () => {
    for (const [table, schema] of Object.entries(tables)) {
      const needed = Object.entries(schema.entries).filter(([, { type }]) => type !== "optional");
      const said = rows(table).filter(([, , fallback]) => fallback === "needed");
      expect(said.map(([key]) => key)).toEqual(needed.map(([key]) => `\`${key}\``));
    }
  });

  test("the whole file at the top has no mistakes", () => {
    const [whole = ""] = examples(text);
    expect(parseSettings(whole, "FILE")).toMatchObject({ ok: true });
  });

  test("the examples of the tables, put together, have no mistakes", () => {
    const all = Object.keys(tables).flatMap((table) => examples(section(table)));
    expect(parseSettings(all.join("\n"), "FILE")).toMatchObject({ ok: true });
  });
});

describe("the file that tockd init writes", () => {
  const input = {
    name: "s",
    addresses: ["203.0.113.7"],
    port: undefined,
    services: [{ name: "ssh", ports: ["tcp/22"] }],
    users: ["alice"],
    knock: false,
    state: undefined,
    socket: undefined,
    backend: undefined,
    allow: [],
  };

  test("means the same with its commented defaults as without them", () => {
    const text = configTemplate(input);
    const plain = parseSettings(text, "FILE");
    const all = text.replace(/^#(\w+ = .*)$/gm, (line, setting: string) =>
      /^(knock|expires|networks)/.test(setting) ? line : setting,
    );
    expect(plain).toMatchObject({ ok: true });
    expect(all).toContain('\nttl = "30s"');
    expect(parseSettings(all, "FILE")).toEqual(plain);
  });

  test("shows suggestions for a user that have no mistakes", () => {
    const all = configTemplate({ ...input, users: [] }).replaceAll(/^#(?! )/gm, "");
    expect(parseSettings(all, "FILE")).toMatchObject({ ok: true, value: { users: [{ name: "alice" }] } });
  });
});
