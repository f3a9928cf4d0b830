import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { DeviceStore } from "../../../server/store/device-store.ts";
import { unwrap } from "../../../shared/result.ts";
import { BEGINNING, newDevice, newSecret, newStore } from "../../support/devices.ts";
import { scratch } from "../../support/tockd.ts";

const isRoot = process.geteuid?.() === 0;
const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

/** Makes a store with one device, lets `harm` at its files, and tries to open it: "ok", or code and message. */
function after(harm: (file: string, folder: string) => void): string {
  const folder = scratch();
  const store = newStore(folder);
  unwrap(store.add(newDevice("alice/phone"), BEGINNING));
  store.close();
  harm(join(folder, "tock.db"), folder);
  const opened = DeviceStore.open(folder);
  const result = opened.ok ? opened.value.loadAll() : opened;
  if (opened.ok) opened.value.close();
  return result.ok ? "ok" : `${result.error.code}: ${result.error.message.replaceAll(folder, "STATE")}`;
}

describe("the files of the store", () => {
  test("are for their owner alone", () => {
    const folder = scratch();
    const store = newStore(folder);
    onTestFinished(() => store.close());
    unwrap(store.add(newDevice("alice/phone"), BEGINNING));
    expect(["tock.db", "tock.db-wal", "tock.db-shm"].map((name) => mode(join(folder, name)))).toEqual([
      "600",
      "600",
      "600",
    ]);
  });

  test.runIf(isRoot)("belong to the folder's owner, whatever root does with them [needs root]", () => {
    const folder = scratch();
    chownSync(folder, 12345, 12345);
    newStore(folder).close();
    const store = unwrap(DeviceStore.open(folder));
    onTestFinished(() => store.close());
    unwrap(store.add(newDevice("alice/phone"), BEGINNING));
    const owners = ["tock.db", "tock.db-wal", "tock.db-shm"].map((name) => statSync(join(folder, name)).uid);
    expect(owners).toEqual([12345, 12345, 12345]);
  });

  test("are made only once", () => {
    const folder = scratch();
    newStore(folder).close();
    const before = readFileSync(join(folder, "tock.db"));
    const again = DeviceStore.create(folder, { id: new Uint8Array(16), key: newSecret() });
    expect(again).toMatchObject({ ok: false, error: { code: "exists" } });
    expect(readFileSync(join(folder, "tock.db")).equals(before)).toBe(true);
  });
});

describe("a store is refused that", () => {
  test.each([
    ["is unharmed: it is not", () => undefined, "ok"],
    [
      "does not exist",
      (file: string) => renameSync(file, `${file}.old`),
      "not-found: STATE/tock.db: no such file or folder",
    ],
    [
      "others can read",
      (file: string) => chmodSync(file, 0o640),
      "permission: STATE/tock.db: expected mode 0600, got 0640: others could read its secrets",
    ],
    [
      "lies in a folder that others can enter",
      (_file: string, folder: string) => chmodSync(folder, 0o711),
      "permission: STATE: expected mode 0700, got 0711: others could read its secrets",
    ],
    [
      "has a log that others can read",
      (file: string) => writeFileSync(`${file}-wal`, "", { mode: 0o644 }),
      "permission: STATE/tock.db-wal: expected mode 0600, got 0644: others could read its secrets",
    ],
    [
      "is a link",
      (file: string) => {
        renameSync(file, `${file}.real`);
        symlinkSync(`${file}.real`, file);
      },
      "permission: STATE/tock.db: expected a regular file with one name, not a link",
    ],
    [
      "has a second name",
      (file: string) => linkSync(file, `${file}.second`),
      "permission: STATE/tock.db: expected a regular file with one name, not a link",
    ],
    [
      "is a folder",
      (file: string) => {
        renameSync(file, `${file}.old`);
        mkdirSync(file);
      },
      "permission: STATE/tock.db: expected a regular file with one name, not a link",
    ],
    [
      "is no database",
      (file: string) => writeFileSync(file, "no database\n".repeat(1000)),
      "io: device store STATE/tock.db: damaged: not a database",
    ],
    [
      "is empty",
      (file: string) => truncateSync(file, 0),
      "io: device store STATE/tock.db: has no server identity",
    ],
    ["is cut short", (file: string) => truncateSync(file, 8192), "io: device store STATE/tock.db: damaged"],
    [
      "is overwritten with something else",
      (file: string) =>
        writeFileSync(file, Buffer.concat([readFileSync(file).subarray(0, 4096), Buffer.alloc(40_000, 7)])),
      "io: device store STATE/tock.db: damaged",
    ],
    [
      "comes from a newer tockd",
      (file: string) => sql(file, "PRAGMA user_version = 99"),
      "io: device store STATE/tock.db: version 99, and this tockd knows 3",
    ],
    [
      "belongs to another program",
      (file: string) => sql(file, "PRAGMA application_id = 7"),
      "io: device store STATE/tock.db: a database of another program",
    ],
    [
      "lost the server's identity",
      (file: string) => sql(file, "DELETE FROM server"),
      "io: device store STATE/tock.db: has no server identity",
    ],
    [
      "holds a device that cannot be",
      (file: string) => sql(file, "UPDATE device SET id = 'nobody'"),
      "io: device store: row 1 is damaged",
    ],
    [
      "holds a moment that cannot be",
      (file: string) => sql(file, "UPDATE device SET current_since = -1"),
      "io: device store: row 1 is damaged",
    ],
  ])("%s", (_name, harm, expected) => expect(after(harm)).toBe(expected));

  test.runIf(isRoot)("belongs to another user than its folder [needs root]", () => {
    expect(after((file) => chownSync(file, 12345, 0))).toBe(
      "permission: STATE/tock.db: belongs to user 12345, its folder to user 0",
    );
  });

  test.runIf(isRoot)("belongs to another user than this one [needs root]", () => {
    const folder = scratch();
    newStore(folder).close();
    const main = new URL("../../support/open-store.ts", import.meta.url);
    chmodSync(folder, 0o711);
    const said = execFileSync(process.execPath, [fileURLToPath(main), folder], {
      encoding: "utf8",
      uid: 65534,
      gid: 65534,
    });
    expect(said).toBe(`permission: ${folder}: belongs to user 0, not to this one (65534)\n`);
  });
});

test("a store that another command holds is busy, after a wait", () => {
  const folder = scratch();
  const store = newStore(folder);
  onTestFinished(() => store.close());
  const other = new DatabaseSync(join(folder, "tock.db"));
  other.exec("BEGIN IMMEDIATE");
  const added = store.add(newDevice("alice/phone"), BEGINNING);
  other.exec("ROLLBACK");
  other.close();
  expect(added).toMatchObject({
    ok: false,
    error: { code: "io", message: expect.stringMatching(/busy: another command holds it$/) as string },
  });
  expect(store.add(newDevice("alice/phone"), BEGINNING).ok).toBe(true);
});

test("whatever was reported as stored is there after a SIGKILL, and nothing is damaged", async () => {
  const folder = scratch();
  newStore(folder).close();
  const main = fileURLToPath(new URL("../../support/fill-store.ts", import.meta.url));
  const reported: string[] = [];
  for (const round of [0, 1, 2]) {
    const writer = spawn(process.execPath, [main, folder, `r${round}`], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    await new Promise<void>((resolve) => {
      writer.stdout.on("data", (data) => {
        said += String(data);
        if (said.split("\n").length > 20 + round * 7) writer.kill("SIGKILL");
      });
      writer.on("exit", () => resolve());
    });
    reported.push(...said.split("\n").slice(0, -1));
  }
  const store = unwrap(DeviceStore.open(folder));
  onTestFinished(() => store.close());
  const ids = unwrap(store.loadAll()).devices.map(({ id }) => String(id));
  expect(reported.length).toBeGreaterThan(60);
  expect(ids).toEqual(expect.arrayContaining(reported));
  const db = new DatabaseSync(join(folder, "tock.db"));
  expect(db.prepare("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
  db.close();
});

function sql(file: string, text: string): void {
  const db = new DatabaseSync(file);
  db.exec(text);
  db.close();
}
