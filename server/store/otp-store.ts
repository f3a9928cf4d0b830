import type { UnixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import type { Result } from "../../shared/result.ts";
import { Secret } from "../../shared/secret.ts";
import { attempt, type Database } from "./sqlite.ts";

/** A user's second factor. Codes of counters up to `burned` were used; -1 = none was. */
export interface Otp {
  readonly secret: Secret;
  readonly since: UnixMillis;
  readonly burned: number;
}

/** Wrong codes of one device since a moment. */
export interface Guesses {
  readonly wrong: number;
  readonly since: UnixMillis;
}

/** Second-factor secrets by user, and what bounds guessing by device. */
export class OtpStore {
  readonly #db: Database;
  readonly #file: string;

  constructor(db: Database, file: string) {
    this.#db = db;
    this.#file = file;
  }

  /** Undefined where the user has none. */
  get(user: string): Result<Otp | undefined> {
    return attempt(this.#file, () => {
      const row = this.#db.get("SELECT secret, since, burned FROM otp WHERE user = ?", user);
      if (row === undefined) return undefined;
      const bytes = row["secret"];
      // RFC 4226 §4: at least 128 bits. A shorter one, as of a damaged row, could be guessed.
      if (!(bytes instanceof Uint8Array) || bytes.length < 16)
        throw new TockError("io", `device store: the second factor of ${user} is damaged`);
      const secret = new Secret(bytes);
      return { secret, since: Number(row["since"]) as UnixMillis, burned: Number(row["burned"]) };
    });
  }

  /** A user who has one already is `exists`. */
  add(user: string, secret: Secret, now: UnixMillis): Result<void> {
    return attempt(this.#file, () =>
      this.#db.write(() => {
        if (this.#db.get("SELECT 1 FROM otp WHERE user = ?", user)) {
          const hint = `tockd user otp remove ${user} first; the old codes then stop working`;
          throw new TockError("exists", `user ${user} has a second factor already`, hint);
        }
        this.#db.run("INSERT INTO otp (user, secret, since) VALUES (?, ?, ?)", user, secret.expose(), now);
      }),
    );
  }

  /** A user who has none is `not-found`. */
  remove(user: string): Result<void> {
    return attempt(this.#file, () => {
      if (this.#db.run("DELETE FROM otp WHERE user = ?", user) > 0) return;
      throw new TockError(
        "not-found",
        `user ${user} has no second factor`,
        `tockd user otp add ${user} makes one`,
      );
    });
  }

  /** Uses up a counter (RFC 6238 §5.2): true once; false where it or a later one was used before. */
  burn(user: string, counter: number): Result<boolean> {
    return attempt(
      this.#file,
      () =>
        this.#db.run("UPDATE otp SET burned = ? WHERE user = ? AND burned < ?", counter, user, counter) === 1,
    );
  }

  /** Wrong codes that the device with this number gave. */
  guesses(device: number): Result<Guesses | undefined> {
    return attempt(this.#file, () => {
      const row = this.#db.get("SELECT wrong, since FROM guess WHERE device = ?", device);
      return row && { wrong: Number(row["wrong"]), since: Number(row["since"]) as UnixMillis };
    });
  }

  /** Undefined wipes the slate. */
  setGuesses(device: number, guesses: Guesses | undefined): Result<void> {
    return attempt(this.#file, () => {
      if (guesses === undefined) this.#db.run("DELETE FROM guess WHERE device = ?", device);
      else {
        const sql = "INSERT OR REPLACE INTO guess (device, wrong, since) VALUES (?, ?, ?)";
        this.#db.run(sql, device, guesses.wrong, guesses.since);
      }
    });
  }
}
