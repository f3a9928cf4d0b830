import { parse } from "smol-toml";
import { isDay } from "./instant.ts";

/** Line and column, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export type Path = readonly (string | number)[];

/** What the text of a document tells and its parsed form does not. */
export interface Places {
  /** Where a key or list item stands; for a path that the text does not hold, the nearest table above it. */
  find(path: Path): Position;
  /** Dates such as 2027-02-30, which the parser moves to a day that exists. */
  readonly impossibleDates: readonly { readonly path: Path; readonly text: string }[];
}

/** Looks through a TOML document, which must be one that the parser took. */
export function locate(toml: string): Places {
  const { offsets, impossibleDates } = new Scanner(toml).scan();
  const find = (path: Path): Position => {
    for (let length = path.length; length > 0; length--) {
      const offset = offsets.get(keyOf(path.slice(0, length)));
      if (offset !== undefined) return position(toml, offset);
    }
    return { line: 1, column: 1 };
  };
  return { find, impossibleDates };
}

function position(toml: string, offset: number): Position {
  const before = toml.slice(0, offset);
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}

function keyOf(path: Path): string {
  return JSON.stringify(path.map(String));
}

/** Walks the document once. What it may assume, as the parser saw it first: every string and bracket is closed. */
class Scanner {
  readonly #text: string;
  readonly offsets = new Map<string, number>();
  readonly impossibleDates: { readonly path: Path; readonly text: string }[] = [];
  readonly #tables = new Map<string, number>();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): this {
    let table: Path = [];
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      if (this.#text[this.#at] === "[") table = this.#header();
      else this.#pair(table);
    }
    return this;
  }

  /** `[a.b]` or `[[a.b]]` */
  #header(): Path {
    const start = this.#at;
    const isList = this.#text.startsWith("[[", start);
    this.#at += isList ? 2 : 1;
    const path = this.#key([], start);
    this.#at += isList ? 2 : 1;
    if (!isList) return path;
    const index = this.#tables.get(keyOf(path)) ?? 0;
    this.#tables.set(keyOf(path), index + 1);
    this.#note([...path, index], start);
    return [...path, index];
  }

  #pair(table: Path): void {
    const path = this.#key(table, this.#at);
    this.#at++;
    this.#skipBlank();
    this.#value(path);
  }

  /** A dotted key; stops at the `=` or `]` after it. Every part is noted where it was not seen before. */
  #key(table: Path, start: number): Path {
    let path = table;
    for (;;) {
      this.#skip(/[ \t]*/y);
      path = [...path, this.#keyPart()];
      this.#note(path, start);
      this.#skip(/[ \t]*/y);
      if (this.#text[this.#at] !== ".") return path;
      this.#at++;
    }
  }

  #keyPart(): string {
    const raw = this.#skip(/"(?:[^"\\]|\\.)*"|'[^']*'|[^\s.=\]"'#]+/y);
    if (raw.startsWith("'")) return raw.slice(1, -1);
    if (!raw.startsWith('"')) return raw;
    const decoded = parse(`key = ${raw}`)["key"];
    return typeof decoded === "string" ? decoded : raw;
  }

  #value(path: Path): void {
    const first = this.#text[this.#at];
    if (first === "[") this.#list(path);
    else if (first === "{") this.#inlineTable(path);
    else {
      const raw = this.#skip(
        /"""(?:[^\\]|\\[^])*?"{3,5}|'''[^]*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*'|[^,\]}\n#]*/y,
      ).trim();
      if (/^\d{4}-\d{2}-\d{2}/.test(raw) && !isDay(raw)) this.impossibleDates.push({ path, text: raw });
    }
  }

  #list(path: Path): void {
    this.#at++;
    for (let index = 0; ; index++) {
      this.#skipBlank();
      if (this.#at >= this.#text.length || this.#text[this.#at] === "]") break;
      this.#note([...path, index], this.#at);
      this.#value([...path, index]);
      this.#skipBlank();
      if (this.#text[this.#at] === ",") this.#at++;
    }
    this.#at++;
  }

  #inlineTable(path: Path): void {
    this.#at++;
    for (;;) {
      this.#skipBlank();
      if (this.#at >= this.#text.length || this.#text[this.#at] === "}") break;
      this.#pair(path);
      this.#skipBlank();
      if (this.#text[this.#at] === ",") this.#at++;
    }
    this.#at++;
  }

  #note(path: Path, offset: number): void {
    const key = keyOf(path);
    if (!this.offsets.has(key)) this.offsets.set(key, offset);
  }

  #skipBlank(): void {
    this.#skip(/(?:\s|#[^\n]*)*/y);
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += text.length;
    return text;
  }
}
