import { TockError } from "../../shared/errors.ts";
import type { Database } from "./sqlite.ts";

/** "tock", in SQLite's header: a database of another program is not taken for ours. */
const APPLICATION = 0x746f636b;

/** Each takes the database from its version to the next. Never changed once released: a change is a new entry. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE server (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    key BLOB NOT NULL CHECK (length(key) = 32),
    revision INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE device (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    current BLOB NOT NULL CHECK (length(current) = 32),
    current_since INTEGER NOT NULL,
    current_until INTEGER,
    next BLOB CHECK (length(next) = 32),
    next_since INTEGER,
    next_from_link INTEGER NOT NULL CHECK (next_from_link IN (0, 1)),
    enrolling INTEGER NOT NULL CHECK (enrolling IN (0, 1)),
    static INTEGER NOT NULL CHECK (static IN (0, 1)),
    services TEXT,
    expires INTEGER,
    created INTEGER NOT NULL,
    used INTEGER,
    used_from TEXT
  ) STRICT;
  CREATE INDEX device_revision ON device (revision);
  CREATE TABLE retired (
    device INTEGER NOT NULL REFERENCES device (number) ON DELETE CASCADE,
    secret BLOB NOT NULL CHECK (length(secret) = 32),
    until INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX retired_device ON retired (device);
  CREATE TABLE removed (
    id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE otp (
    user TEXT PRIMARY KEY,
    secret BLOB NOT NULL,
    since INTEGER NOT NULL,
    burned INTEGER NOT NULL DEFAULT -1
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE guess (
    device INTEGER PRIMARY KEY REFERENCES device (number) ON DELETE CASCADE,
    wrong INTEGER NOT NULL,
    since INTEGER NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE open_grant (
    device TEXT NOT NULL,
    service TEXT NOT NULL,
    source TEXT NOT NULL,
    prefix INTEGER,
    port INTEGER NOT NULL,
    connections INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (device, service, source, port)
  ) STRICT, WITHOUT ROWID;
  `,
  // A device may have several kinds of grants for one address, each with a time of its own.
  `
  ALTER TABLE open_grant RENAME TO open_grant_2;
  CREATE TABLE open_grant (
    device TEXT NOT NULL,
    service TEXT NOT NULL,
    source TEXT NOT NULL,
    prefix INTEGER NOT NULL,
    port INTEGER NOT NULL,
    counted INTEGER NOT NULL CHECK (counted IN (0, 1)),
    connections INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (device, service, source, prefix, port, counted)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO open_grant
    SELECT device, service, source, ifnull(prefix, 0), port, connections > 0, connections, expires FROM open_grant_2;
  DROP TABLE open_grant_2;
  `,
];

/** Brings the database to this version's schema, all or nothing. One of another program or of a newer tockd is refused. */
export function migrate(db: Database, file: string): void {
  db.write(() => {
    const version = pragma(db, "user_version");
    const tables = Number(db.get("SELECT count(*) AS n FROM sqlite_schema")?.["n"]);
    if (pragma(db, "application_id") !== APPLICATION && tables > 0) {
      throw new TockError(
        "io",
        `device store ${file}: a database of another program`,
        "is [server] state right?",
      );
    }
    if (version > MIGRATIONS.length) {
      const message = `device store ${file}: version ${version}, and this tockd knows ${MIGRATIONS.length}`;
      throw new TockError("io", message, "it was used by a newer tockd: install that again");
    }
    for (const sql of MIGRATIONS.slice(version)) db.exec(sql);
    if (version === MIGRATIONS.length) return;
    db.exec(`PRAGMA application_id = ${APPLICATION}; PRAGMA user_version = ${MIGRATIONS.length}`);
  });
}

function pragma(db: Database, name: string): number {
  return Number(db.get(`PRAGMA ${name}`)?.[name]);
}
