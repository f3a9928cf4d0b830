import { parseAddress } from "../../shared/address.ts";
import {
  type DeviceId,
  parseDeviceId,
  parseServiceName,
  type Port,
  type ServiceName,
  type UnixMillis,
} from "../../shared/brand.ts";
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

/** What the daemon notes now and then, in one transaction each time. */
export interface Notes {
  readonly opened: Iterable<GrantRow>;
  readonly ended: Iterable<GrantRow>;
  readonly used: Iterable<{ readonly id: DeviceId; readonly at: UnixMillis; readonly source: string }>;
}

const KEY = ["device", "service", "source", "prefix", "port", "counted"] as const;
const PUT = `INSERT OR REPLACE INTO open_grant (${KEY.join(", ")}, connections, expires)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
const DELETE = `DELETE FROM open_grant WHERE ${KEY.map((column) => `${column} = ?`).join(" AND ")}`;

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
        for (const row of ended) this.#db.run(DELETE, ...keyOf(row));
        for (const row of opened) this.#db.run(PUT, ...keyOf(row), row.connections, row.expiresAt);
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

/** The values of `KEY`. Prefix 0 stands for none and port 0 for any: no two rows with NULL would ever be the same. */
function keyOf(row: GrantRow): (string | number)[] {
  const { device, service, source, prefix, sourcePort, connections } = row;
  return [device, service, source.text, prefix ?? 0, sourcePort ?? 0, connections > 0 ? 1 : 0];
}

/** None where the row is damaged: a grant whose owner is not known ends all the same. */
function toGrant(row: Record<string, unknown>): GrantRow[] {
  const device = parseDeviceId(String(row["device"]));
  const service = parseServiceName(String(row["service"]));
  const source = parseAddress(String(row["source"]));
  const [prefix, port, connections, expires] = ["prefix", "port", "connections", "expires"].map((column) =>
    Number(row[column]),
  ) as [number, number, number, number];
  if (!device.ok || !service.ok || !source.ok) return [];
  const isWithin = (value: number, most: number): boolean =>
    Number.isInteger(value) && value >= 0 && value <= most;
  const bits = source.value.family === 4 ? 32 : 128;
  const isWhole =
    isWithin(prefix, bits) &&
    isWithin(port, 65_535) &&
    isWithin(connections, 65_535) &&
    isWithin(expires, 2 ** 48);
  if (!isWhole) return [];
  return [
    {
      device: device.value,
      service: service.value,
      source: source.value,
      prefix: prefix === 0 ? undefined : prefix,
      sourcePort: port === 0 ? undefined : (port as Port),
      connections,
      expiresAt: expires as UnixMillis,
    },
  ];
}
