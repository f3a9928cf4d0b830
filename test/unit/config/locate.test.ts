import * as fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { locate } from "../../../server/config/locate.ts";

/** The path's place as `line:column`. */
function at(toml: string, ...path: (string | number)[]): string {
  parse(toml);
  const { line, column } = locate(toml).find(path);
  return `${line}:${column}`;
}

describe("where keys stand", () => {
  test("a key, an indented key, a table", () => {
    const toml = "[a]\nx = 1\n  y = 2 # y\n\n[ b . c ]\nz = 3\n";
    expect(at(toml, "a")).toBe("1:1");
    expect(at(toml, "a", "x")).toBe("2:1");
    expect(at(toml, "a", "y")).toBe("3:3");
    expect(at(toml, "b", "c")).toBe("5:1");
    expect(at(toml, "b", "c", "z")).toBe("6:1");
  });

  test("dotted and quoted keys, in every spelling of one name", () => {
    const toml = `a.b.c = 1\n"a"."x.y" = 2\n'q"q' = 3\n"\\u0041" = 4\n[users."a.b"]\nk = 5\n`;
    expect(at(toml, "a", "b", "c")).toBe("1:1");
    expect(at(toml, "a", "x.y")).toBe("2:1");
    expect(at(toml, 'q"q')).toBe("3:1");
    expect(at(toml, "A")).toBe("4:1");
    expect(at(toml, "users", "a.b", "k")).toBe("6:1");
  });

  test("list items, over several lines, nested, with comments and a comma at the end", () => {
    const toml = 'a = [\n  "one", # ]\n  [2, 3],\n\t4,\n]\nb = 5\n';
    expect(at(toml, "a", 0)).toBe("2:3");
    expect(at(toml, "a", 1)).toBe("3:3");
    expect(at(toml, "a", 1, 1)).toBe("3:7");
    expect(at(toml, "a", 2)).toBe("4:2");
    expect(at(toml, "b")).toBe("6:1");
  });

  test("inline tables and tables in lists", () => {
    const toml = "a = { x = 1, y.z = [ { w = 2 } ] }\n[[l]]\nk = 1\n[[l]]\nk = 2\n";
    expect(at(toml, "a", "y", "z", 0, "w")).toBe("1:24");
    expect(at(toml, "l", 0, "k")).toBe("3:1");
    expect(at(toml, "l", 1, "k")).toBe("5:1");
  });

  test.each([
    ["basic strings", 'a = "x\\" ]\\\\"\nb = 1\n'],
    ["literal strings", "a = '\\'\nb = 1\n"],
    ["a comment after a value", "a = 1 # b = 2\nb = 1\n"],
    ["a date", "a = 2027-01-31 18:00:00\nb = 1\n"],
    ["Windows line ends", "a = 1\r\nb = 1\r\n"],
    ["an empty list", "a = []\nb = 1\n"],
    ["an empty inline table", "a = {}\nb = 1\n"],
  ])("%s do not lead astray", (_name, toml) => expect(at(toml, "b")).toBe("2:1"));

  test.each([
    ["a basic string of several lines", 'a = """\nb = 2\n\\""" " "" """\nb = 1\n', "4:1"],
    ["with quotes at its end", 'a = """\nx"""""\nb = 1\n', "3:1"],
    ["a literal string of several lines", "a = '''\nb = '2'\n'''\nb = 1\n", "4:1"],
  ])("%s does not lead astray", (_name, toml, place) => expect(at(toml, "b")).toBe(place));

  test("what the text does not hold is looked for in the table above it", () => {
    expect(at("x = 1\n[a]\n[a.b]\n", "a", "b", "missing", 3)).toBe("3:1");
    expect(at("x = 1\n", "missing")).toBe("1:1");
  });

  test("days that are not in the calendar", () => {
    const toml = "a = 2027-02-30\nb = 2027-02-28\nc = [ 2027-04-31T10:00:00Z, '2027-02-30' ]\n";
    expect(locate(toml).impossibleDates).toEqual([
      { path: ["a"], text: "2027-02-30" },
      { path: ["c", 0], text: "2027-04-31T10:00:00Z" },
    ]);
  });
});

// Documents are written from pieces whose places are known as they are written.
const blank = fc.constantFrom("", " ", "\t ", "  ");
const gap = fc.constantFrom("", "\n", '# [x] = "\n', "\r\n", "  # '''\n\n");
const scalar = fc.constantFrom(
  "1",
  "-1.5e3",
  "true",
  '"a # b"',
  "'c]'",
  '"""\nd = 1\n"""',
  "'''[e]\n'''",
  '"\\\\"',
  '"\\"["',
  "2027-01-31",
  "2027-01-31 10:00:00",
  "07:30:00",
  "nan",
);
type Piece = {
  write: (from: { text: string }, path: (string | number)[], places: [(string | number)[], number][]) => void;
};
const leafPiece: fc.Arbitrary<Piece> = scalar.map((text) => ({ write: (to) => void (to.text += text) }));
const listPiece = (inner: fc.Arbitrary<Piece>): fc.Arbitrary<Piece> =>
  fc.array(fc.tuple(gap, inner, blank), { maxLength: 3 }).map((items) => ({
    write: (to, path, places) => {
      to.text += "[";
      for (const [index, [before, item, after]] of items.entries()) {
        to.text += before;
        places.push([[...path, index], to.text.length]);
        item.write(to, [...path, index], places);
        to.text += `${after},`;
      }
      to.text += "]";
    },
  }));
const tablePiece = (inner: fc.Arbitrary<Piece>): fc.Arbitrary<Piece> =>
  fc.array(fc.tuple(blank, inner, blank), { maxLength: 3 }).map((items) => ({
    write: (to, path, places) => {
      to.text += "{";
      for (const [index, [before, item, after]] of items.entries()) {
        to.text += `${index === 0 ? "" : ","}${before}`;
        places.push([[...path, `k${index}`], to.text.length]);
        to.text += `k${index} =`;
        item.write(to, [...path, `k${index}`], places);
        to.text += after;
      }
      to.text += "}";
    },
  }));
const flat = fc.oneof(leafPiece, listPiece(leafPiece));
const value = fc.oneof(leafPiece, listPiece(fc.oneof(flat, tablePiece(leafPiece))), tablePiece(flat));
const table = fc.array(fc.tuple(gap, blank, value, blank), { maxLength: 4 });

test("every key and item of any document is found where it was written", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(gap, table), { minLength: 1, maxLength: 3 }), (tables) => {
      const to = { text: "" };
      const places: [(string | number)[], number][] = [];
      for (const [index, [before, pairs]] of tables.entries()) {
        to.text += before;
        places.push([[`t${index}`], to.text.length]);
        to.text += `[t${index}]\n`;
        for (const [number, [gapBefore, indent, piece, after]] of pairs.entries()) {
          to.text += gapBefore + indent;
          const path = [`t${index}`, `key-${number}`];
          places.push([path, to.text.length]);
          to.text += `"key-${number}" = `;
          piece.write(to, path, places);
          to.text += `${after}\n`;
        }
      }
      parse(to.text);
      const found = locate(to.text);
      for (const [path, offset] of places) {
        const before = to.text.slice(0, offset).split("\n");
        expect(found.find(path)).toEqual({ line: before.length, column: (before.at(-1)?.length ?? 0) + 1 });
      }
    }),
    { numRuns: 500 },
  );
});
