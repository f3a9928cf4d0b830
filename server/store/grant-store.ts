import { parseAddress } from "../../shared/address.ts";
import { type DeviceId, type Port, type ServiceName, type UnixMillis } from "../../shared/brand.ts";
import type { Address } from "../../shared/address.ts";
import type { Result } from "../../shared/result.ts";
import { attempt, type Database } from "./sqlite.ts";

/** Who has something open, as far as the kernel does not know it. */
export interface GrantRow {
  readonly device: DeviceId;
  readonly service: ServiceName;
  readonly source: Address;
  readonly prefix: number | undefined;
  readonly sourcePort: Port | undefined;
  readonly connections: number;
  readonly expiresAt: UnixMillis;
}

type Key = Pick<GrantRow, "device" | "service" | "source" | "sourcePort">;

/** What the daemon notes now and then, in one transaction each time. */
export interface Notes {
  readonly opened: Iterable<GrantRow>;
  readonly ended: Iterable<Key>;
  readonly used: Iterable<{ readonly id: DeviceId; readonly at: UnixMillis; readonly source: string }>;
}

const PUT = `INSERT OR REPLACE INTO open_grant (device, service, source, port, prefix, connections, expires)
  VALUES (?, ?, ?, ?, ?, ?, ?)`;
const DELETE = "DELETE FROM open_grant WHERE device = ? AND service = ? AND source = ? AND port = ?";

/** Owners of open grants, and when devices were used: nothing that a crash may not cost the last second of. */
export class GrantStore {
  readonly #db: Database;
  readonly #file: string;

  constructor(db: Database, file: string) {
    this.#db = db;
    this.#file = file;
  }

  /** Grants that are over by `now` are forgotten. */
  note({ opened, ended, used }: Notes, now: UnixMillis): Result<void> {
    return attempt(this.#file, () =>
      this.#db.write(() => {
        for (const key of ended) this.#db.run(DELETE, ...keyOf(key));
        for (const row of opened)
          this.#db.run(PUT, ...keyOf(row), row.prefix ?? null, row.connections, row.expiresAt);
        this.#db.run("DELETE FROM open_grant WHERE expires <= ?", now);
        for (const { id, at, source } of used) {
          this.#db.run("UPDATE device SET used = ?, used_from = ? WHERE id = ?", at, source, id);
        }
      }),
    );
  }

  all(): Result<GrantRow[]> {
    return attempt(this.#file, () => this.#db.all("SELECT * FROM open_grant").flatMap(toGrant));
  }
}

/** Port 0 stands for any: no two rows with NULL would ever be the same. */
function keyOf({ device, service, source, sourcePort }: Key): [string, string, string, number] {
  return [device, service, source.text, sourcePort ?? 0];
}

function toGrant(row: Record<string, unknown>): GrantRow[] {
  const source = parseAddress(String(row["source"]));
  if (!source.ok) return [];
  return [
    {
      device: row["device"] as DeviceId,
      service: row["service"] as ServiceName,
      source: source.value,
      prefix: row["prefix"] === null ? undefined : Number(row["prefix"]),
      sourcePort: row["port"] === 0 ? undefined : (row["port"] as Port),
      connections: Number(row["connections"]),
      expiresAt: Number(row["expires"]) as UnixMillis,
    },
  ];
}
