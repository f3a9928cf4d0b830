import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DeviceStore } from "../../server/store/device-store.ts";
import { unwrap } from "../../shared/result.ts";
import { BEGINNING, newDevice, newStore } from "../support/devices.ts";

// device-store.ts [COUNT]: how long a store of so many devices takes to load, and one change in it.

const count = Number(process.argv[2] ?? 100_000);
const folder = mkdtempSync(join(tmpdir(), "tockd-bench-"));
try {
  const made = newStore(folder);
  unwrap(made.add(newDevice("alice/phone"), BEGINNING));
  made.close();
  fill(join(folder, "tock.db"), count);
  const store = unwrap(DeviceStore.open(folder));
  for (let round = 0; round < 5; round++) {
    const { devices, revision } = time(`load ${count} devices`, () => unwrap(store.loadAll()));
    const [device] = devices;
    if (device === undefined) throw new Error("nothing was loaded");
    time("change one", () =>
      unwrap(store.update(device.id, (fresh) => ({ ...fresh, enabled: !fresh.enabled }))),
    );
    time("read what changed", () => unwrap(store.changedSince(revision)));
  }
  store.close();
  console.log(`file: ${Math.round(statSync(join(folder, "tock.db")).size / 1024)} kB`);
} finally {
  rmSync(folder, { recursive: true });
}

/** One transaction for all: adding them one by one, each on disk, is not what is measured. Each has one retired secret. */
function fill(file: string, count: number): void {
  const db = new DatabaseSync(file);
  db.exec("BEGIN");
  const device = db.prepare(
    "INSERT INTO device (id, revision, created, enabled, current, current_since, next_from_link, enrolling, static) VALUES (?, 1, 1, 1, ?, 1, 0, 0, 0)",
  );
  const retired = db.prepare("INSERT INTO retired (device, secret, until) VALUES (?, ?, 2)");
  for (let number = 1; number < count; number++) {
    const { lastInsertRowid } = device.run(`user${number % 1000}/d${number}`, randomBytes(32));
    retired.run(lastInsertRowid, randomBytes(32));
  }
  db.exec("COMMIT");
  db.close();
}

function time<T>(what: string, body: () => T): T {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  const value = body();
  const { user, system } = process.cpuUsage(cpu);
  const [wall, busy] = [performance.now() - start, (user + system) / 1000];
  console.log(`${what}: ${wall.toFixed(1)} ms (${busy.toFixed(1)} ms of processor)`);
  return value;
}
