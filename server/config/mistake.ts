import { TomlDate } from "smol-toml";
import { quote } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import type { Path, Position } from "./locate.ts";

/** One mistake in a configuration file, with the place where it stands. */
export class ConfigMistake extends TockError {
  readonly file: string;
  /** Undefined where the file as a whole is meant. */
  readonly position: Position | undefined;
  /** The key or table that is wrong; empty where there is none. */
  readonly path: Path;
  /** The message without the place and the key. */
  readonly detail: string;

  constructor(file: string, position: Position | undefined, { path, message, hint }: Complaint) {
    const place = position === undefined ? file : `${file}:${position.line}:${position.column}`;
    const key = path.length === 0 ? "" : `${formatPath(path)}: `;
    super("config", `${place}: ${key}${message}`, hint);
    this.name = "ConfigMistake";
    this.file = file;
    this.position = position;
    this.path = path;
    this.detail = message;
  }
}

/** What is wrong at a path, before its line is known. */
export interface Complaint {
  readonly path: Path;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** A path as TOML writes it: `users."a.b".networks[0]`. */
export function formatPath(path: Path): string {
  return path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`;
      const key = /^[A-Za-z0-9_-]+$/.test(part) ? part : quote(part);
      return index === 0 ? key : `.${key}`;
    })
    .join("");
}

/** A value from the file as an error message may show it. */
export function shown(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (value instanceof TomlDate) return value.toISOString();
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "a table";
  return typeof value === "number" || typeof value === "boolean" ? `${value}` : "nothing";
}
