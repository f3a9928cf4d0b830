import { existsSync, rmSync } from "node:fs";
import type { DeviceId, UnixMillis } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import type { Result } from "../../shared/result.ts";
import type { Device } from "../core/device.ts";
import {
  type DeviceRecord,
  idOf,
  POLICY_COLUMNS,
  policyValues,
  SECRET_COLUMNS,
  secretValues,
  toDevice,
  toRetired,
} from "./device-rows.ts";
import { GrantStore } from "./grant-store.ts";
import { OtpStore } from "./otp-store.ts";
import { makeFile, readIdentity, type ServerIdentity } from "./identity.ts";
import { migrate } from "./schema.ts";
import { attempt, Database, type Row } from "./sqlite.ts";
import { checkStateFile, checkStateFolder, storeFile } from "./state-folder.ts";

/** What was changed after a revision: devices put or added, and ids of devices removed. */
export interface Changes {
  readonly revision: number;
  readonly changed: readonly DeviceRecord[];
  readonly removed: readonly DeviceId[];
}

const COLUMNS = `number, id, created, used, used_from, ${[...SECRET_COLUMNS, ...POLICY_COLUMNS].join(", ")}`;
const INSERT = `INSERT INTO device (id, revision, created, ${[...SECRET_COLUMNS, ...POLICY_COLUMNS].join(", ")})
  VALUES (?, ?, ?, ${[...SECRET_COLUMNS, ...POLICY_COLUMNS].map(() => "?").join(", ")}) RETURNING number`;
const SET_SECRETS = `UPDATE device SET revision = ?, ${SECRET_COLUMNS.map((name) => `${name} = ?`).join(", ")}
  WHERE id = ? RETURNING number`;
const SET_POLICY = `UPDATE device SET ${POLICY_COLUMNS.map((name) => `${name} = ?`).join(", ")} WHERE id = ?`;

/**
 * Devices, their secrets and the server's own key, in `tock.db` of the state folder. Every change is one transaction,
 * on disk when the call returns; a crash at any instruction leaves it done or not done. Several processes may use it at
 * once: each change raises the revision, by which a running daemon finds what it has to read again.
 */
export class DeviceStore {
  readonly identity: ServerIdentity;
  readonly otp: OtpStore;
  readonly grants: GrantStore;
  readonly #db: Database;
  readonly #file: string;

  private constructor(db: Database, file: string, identity: ServerIdentity) {
    this.#db = db;
    this.#file = file;
    this.identity = identity;
    this.otp = new OtpStore(db, file);
    this.grants = new GrantStore(db, file);
  }

  static exists(state: string): boolean {
    return existsSync(storeFile(state));
  }

  /** Makes an empty store in a state folder, for the folder's owner. One that is there already is `exists`. */
  static create(state: string, identity: ServerIdentity): Result<DeviceStore> {
    const file = storeFile(state);
    const folder = checkStateFolder(state);
    if (!folder.ok) return folder;
    const made = makeFile(file, folder.value);
    if (!made.ok) return made;
    return attempt(file, () => {
      const db = new Database(file);
      try {
        migrate(db, file);
        db.run("INSERT INTO server (only, id, key) VALUES (1, ?, ?)", identity.id, identity.key.expose());
        return new DeviceStore(db, file, identity);
      } catch (error) {
        db.close();
        rmSync(file, { force: true });
        throw error;
      }
    });
  }

  /** Opens the store of a state folder. None is `not-found`; files that others could read or own are `permission`. */
  static open(state: string): Result<DeviceStore> {
    const file = storeFile(state);
    for (const suffix of ["", "-wal", "-shm"]) {
      const outcome = checkStateFile(`${file}${suffix}`);
      if (!outcome.ok && (suffix === "" || outcome.error.code !== "not-found")) return outcome;
    }
    return attempt(file, () => {
      const db = new Database(file);
      try {
        migrate(db, file);
        return new DeviceStore(db, file, readIdentity(db, file));
      } catch (error) {
        db.close();
        throw error;
      }
    });
  }

  close(): void {
    this.#db.close();
  }

  /** Every device, the oldest first, and the revision at which that was so. */
  loadAll(): Result<{ readonly revision: number; readonly devices: DeviceRecord[] }> {
    return this.#attempt(() =>
      this.#db.read(() => {
        const retired = this.#retired("SELECT device, secret, until FROM retired");
        const devices: DeviceRecord[] = [];
        for (const row of this.#db.each(`SELECT ${COLUMNS} FROM device ORDER BY number`)) {
          devices.push(toDevice(row, retired(row)));
        }
        return { revision: this.#revision(), devices };
      }),
    );
  }

  /** What changed after `revision`, so that a daemon reads no more than that. */
  changedSince(revision: number): Result<Changes> {
    return this.#attempt(() =>
      this.#db.read(() => {
        const retired = this.#retired(
          "SELECT device, secret, until FROM retired WHERE device IN (SELECT number FROM device WHERE revision > ?)",
          revision,
        );
        const rows = this.#db.all(
          `SELECT ${COLUMNS} FROM device WHERE revision > ? ORDER BY revision`,
          revision,
        );
        const removed = this.#db.all("SELECT id FROM removed WHERE revision > ? ORDER BY revision", revision);
        return {
          revision: this.#revision(),
          changed: rows.map((row) => toDevice(row, retired(row))),
          removed: removed.map((row) => idOf(row["id"])),
        };
      }),
    );
  }

  /** A device that is not there is `not-found`. */
  get(id: DeviceId): Result<DeviceRecord> {
    return this.#attempt(() => this.#db.read(() => this.#find(id)));
  }

  /** Keeps a new device and gives its number. An id that is taken is `exists`. */
  add(device: Device, now: UnixMillis): Result<number> {
    return this.#attempt(() =>
      this.#db.write(() => {
        if (this.#db.get("SELECT 1 FROM device WHERE id = ?", device.id)) {
          const hint = `a new link for it: tockd device rotate ${device.id}; or remove it first`;
          throw new TockError("exists", `device ${device.id} exists already`, hint);
        }
        const row = this.#db.get(
          INSERT,
          device.id,
          this.#raiseRevision(),
          now,
          ...secretValues(device),
          ...policyValues(device),
        );
        this.#db.run("DELETE FROM removed WHERE id = ?", device.id);
        const number = Number(row?.["number"]);
        this.#putRetired(number, device.retired);
        return number;
      }),
    );
  }

  /**
   * Replaces a device's secrets and their state. What people decide (enabled, services, expiry) stays as the store has
   * it: it may have been changed since the caller read the device. One that is not there is `not-found`.
   */
  put(device: Device): Result<void> {
    return this.#attempt(() => this.#db.write(() => this.#setSecrets(device)));
  }

  /** Replaces a device by what `change` makes of it as it is now, in one go. Its number, age and last use stay. */
  update(id: DeviceId, change: (device: DeviceRecord) => Device): Result<DeviceRecord> {
    return this.#attempt(() =>
      this.#db.write(() => {
        const device = change(this.#find(id));
        this.#setSecrets({ ...device, id });
        this.#db.run(SET_POLICY, ...policyValues(device), id);
        return this.#find(id);
      }),
    );
  }

  /** Forgets a device with all its secrets. One that is not there is `not-found`. */
  remove(id: DeviceId): Result<void> {
    return this.#attempt(() =>
      this.#db.write(() => {
        if (this.#db.run("DELETE FROM device WHERE id = ?", id) === 0) throw noDevice(id);
        this.#db.run(
          "INSERT OR REPLACE INTO removed (id, revision) VALUES (?, ?)",
          id,
          this.#raiseRevision(),
        );
      }),
    );
  }

  #attempt<T>(body: () => T): Result<T> {
    return attempt(this.#file, body);
  }

  #revision(): number {
    return Number(this.#db.get("SELECT revision FROM server")?.["revision"]);
  }

  #raiseRevision(): number {
    return Number(this.#db.get("UPDATE server SET revision = revision + 1 RETURNING revision")?.["revision"]);
  }

  #find(id: DeviceId): DeviceRecord {
    const row = this.#db.get(`SELECT ${COLUMNS} FROM device WHERE id = ?`, id);
    if (row === undefined) throw noDevice(id);
    const sql = "SELECT device, secret, until FROM retired WHERE device = ?";
    return toDevice(row, this.#retired(sql, Number(row["number"]))(row));
  }

  #setSecrets(device: Device): void {
    const row = this.#db.get(SET_SECRETS, this.#raiseRevision(), ...secretValues(device), device.id);
    if (row === undefined) throw noDevice(device.id);
    this.#db.run("DELETE FROM retired WHERE device = ?", Number(row["number"]));
    this.#putRetired(Number(row["number"]), device.retired);
  }

  #putRetired(number: number, retired: Device["retired"]): void {
    for (const { secret, until } of retired) {
      this.#db.run(
        "INSERT INTO retired (device, secret, until) VALUES (?, ?, ?)",
        number,
        secret.expose(),
        until,
      );
    }
  }

  /** The retired secrets that a query gives, by their device's row. */
  #retired(sql: string, ...values: number[]): (row: Row) => Device["retired"] {
    const found = new Map<number, Device["retired"][number][]>();
    for (const row of this.#db.each(sql, ...values)) {
      const number = Number(row["device"]);
      const list = found.get(number) ?? [];
      list.push(toRetired(row));
      found.set(number, list);
    }
    return (row) => found.get(Number(row["number"])) ?? [];
  }
}

function noDevice(id: DeviceId): TockError {
  return new TockError("not-found", `there is no device ${id}`, "tockd device list shows them");
}
