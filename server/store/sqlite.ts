import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";

export type Row = Record<string, unknown>;

/** How long a command waits for another's write before it gives up. */
const BUSY_MILLIS = 2000;

/**
 * One SQLite database, every write durable when its call returns (WAL, synchronous = FULL), what is deleted overwritten.
 * Methods throw what {@link attempt} makes a clear error of.
 */
export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(file: string) {
    this.#db = new DatabaseSync(file, { timeout: BUSY_MILLIS, defensive: true });
    this.#db.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF",
    );
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  /** Like {@link all}, a row at a time. */
  each(sql: string, ...values: SQLInputValue[]): Iterable<Row> {
    return this.#statement(sql).iterate(...values);
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  /** How many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** All of `body` or nothing of it, with nobody writing in between. */
  write<T>(body: () => T): T {
    return this.#transaction("BEGIN IMMEDIATE", body);
  }

  /** One consistent view of the data throughout `body`. */
  read<T>(body: () => T): T {
    return this.#transaction("BEGIN", body);
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #transaction<T>(begin: string, body: () => T): T {
    this.#db.exec(begin);
    try {
      const value = body();
      this.#db.exec("COMMIT");
      return value;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#db.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }
}

/** https://www.sqlite.org/rescode.html: the primary result codes that people meet, and what to do. */
const CODES: Readonly<Record<number, readonly [message: string, hint?: string]>> = {
  3: ["no permission", "run as root, or as the daemon's user"],
  5: ["busy: another command holds it", "try again in a moment"],
  6: ["busy: another command holds it", "try again in a moment"],
  8: ["read-only", "look at the mount options and the file's owner"],
  10: ["the disk failed to read or write", "look at the kernel's log"],
  11: ["damaged", "restore a backup, or enrol the devices anew after tockd init"],
  13: ["the disk is full", "make room; nothing was changed"],
  14: ["cannot be opened for writing", "look at its owner and mode, and whether the disk is read-only"],
  26: ["damaged: not a database", "restore a backup, or enrol the devices anew after tockd init"],
};

/** Runs `body`; a TockError it throws and any error of SQLite becomes the result's error, anything else is a bug. */
export function attempt<T>(file: string, body: () => T): Result<T> {
  try {
    return ok(body());
  } catch (error) {
    if (error instanceof TockError) return err(error);
    const { code, errcode, errstr } = error as { code?: string; errcode?: number; errstr?: string };
    if (code !== "ERR_SQLITE_ERROR" || errcode === undefined) throw error;
    const [message, hint] = CODES[errcode & 0xff] ?? [`${errstr ?? "SQLite error"} (${errcode})`];
    return err(new TockError("io", `device store ${file}: ${message}`, hint));
  }
}
