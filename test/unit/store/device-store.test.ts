import { readFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { DeviceStore } from "../../../server/store/device-store.ts";
import { unixMillis } from "../../../shared/brand.ts";
import { unwrap } from "../../../shared/result.ts";
import { BEGINNING, exposed, newDevice, newSecret, newStore } from "../../support/devices.ts";
import { scratch } from "../../support/tockd.ts";

let folder: string;
let store: DeviceStore;

beforeEach(() => {
  folder = scratch();
  store = newStore(folder);
  onTestFinished(() => store.close());
});

const LATER = unixMillis(BEGINNING + 1000);
const full = () =>
  newDevice("alice/phone", {
    enabled: false,
    next: { secret: newSecret(), since: LATER },
    nextFromLink: true,
    currentUntil: unixMillis(BEGINNING + 5000),
    retired: [
      { secret: newSecret(), until: unixMillis(BEGINNING + 10) },
      { secret: newSecret(), until: unixMillis(BEGINNING + 20) },
    ],
    enrolling: true,
    isStatic: true,
    services: ["ssh", "web"] as never,
    expiresAt: unixMillis(BEGINNING + 99),
  });

function reopened(): DeviceStore {
  const again = unwrap(DeviceStore.open(folder));
  onTestFinished(() => again.close());
  return again;
}

describe("what is put in comes out", () => {
  test("the server's identity", () => {
    const again = reopened();
    expect(exposed(again.identity.key)).toEqual(exposed(store.identity.key));
    expect(Buffer.from(again.identity.id)).toEqual(Buffer.from(store.identity.id));
  });

  test.each([
    ["a plain device", newDevice("alice/phone")],
    ["a device with everything", full()],
  ])("%s", (_name, device) => {
    const number = unwrap(store.add(device, LATER));
    const kept = unwrap(reopened().get(device.id));
    const extras = {
      number,
      createdAt: LATER,
      lastUse: undefined,
      nextFromLink: false,
      currentUntil: undefined,
    };
    expect(exposed(kept)).toEqual(exposed({ ...extras, ...device }));
  });

  test("put replaces secrets and enrolment, and leaves one device's alone", () => {
    const [phone, laptop] = [
      newDevice("alice/phone"),
      newDevice("alice/laptop", { retired: full().retired }),
    ];
    for (const device of [phone, laptop]) unwrap(store.add(device, BEGINNING));
    const { current, next, retired } = full();
    unwrap(store.put({ ...phone, current, next, retired, enrolling: true }));
    expect(exposed(unwrap(store.get(phone.id)))).toMatchObject(
      exposed({ current, next, retired, enrolling: true }) as object,
    );
    expect(exposed(unwrap(store.get(laptop.id)))).toMatchObject(exposed(laptop) as object);
  });

  test("without a next secret there is no link and no deadline for it", () => {
    unwrap(store.add(full(), BEGINNING));
    unwrap(store.put({ ...full(), next: undefined }));
    expect(unwrap(store.get(full().id))).toMatchObject({ nextFromLink: false, currentUntil: undefined });
  });

  test("recorded uses show, and are no change to read again", () => {
    const device = newDevice("alice/phone");
    unwrap(store.add(device, BEGINNING));
    const { revision } = unwrap(store.loadAll());
    unwrap(
      store.grants.note(
        { opened: [], ended: [], used: [{ id: device.id, at: LATER, source: "203.0.113.9" }] },
        LATER,
      ),
    );
    expect(unwrap(store.get(device.id)).lastUse).toEqual({ at: LATER, source: "203.0.113.9" });
    expect(unwrap(store.changedSince(revision)).changed).toEqual([]);
  });
});

describe("changes by several processes", () => {
  test("a daemon that holds an old copy does not undo what people decided meanwhile", () => {
    const device = newDevice("alice/phone");
    unwrap(store.add(device, BEGINNING));
    const admin = reopened();
    unwrap(admin.update(device.id, (fresh) => ({ ...fresh, enabled: false, expiresAt: LATER })));
    unwrap(store.put({ ...device, next: { secret: newSecret(), since: LATER } }));
    expect(unwrap(admin.get(device.id))).toMatchObject({ enabled: false, expiresAt: LATER });
  });

  test("an administrator's change works on the device as it is, not as it was", () => {
    const device = newDevice("alice/phone");
    unwrap(store.add(device, BEGINNING));
    const next = { secret: newSecret(), since: LATER };
    unwrap(reopened().put({ ...device, next }));
    unwrap(store.update(device.id, (fresh) => ({ ...fresh, enabled: false })));
    expect(exposed(unwrap(store.get(device.id)).next)).toEqual(exposed(next));
  });

  test("the revision tells what to read again, and nothing else", () => {
    const [a, b, c] = ["alice/a", "alice/b", "alice/c"].map((id) => newDevice(id)) as [never, never, never];
    for (const device of [a, b, c]) unwrap(store.add(device, BEGINNING));
    const start = unwrap(store.loadAll()).revision;
    const admin = reopened();
    unwrap(admin.update(newDevice("alice/b").id, (fresh) => ({ ...fresh, enabled: false })));
    unwrap(admin.remove(newDevice("alice/c").id));
    const changes = unwrap(store.changedSince(start));
    expect(changes.changed.map(({ id }) => id)).toEqual(["alice/b"]);
    expect(changes.removed).toEqual(["alice/c"]);
    const end = unwrap(store.changedSince(changes.revision));
    expect(end).toEqual({ revision: changes.revision, changed: [], removed: [] });
  });

  test("a device removed and added again is a new one, with a number of its own", () => {
    const first = unwrap(store.add(newDevice("alice/phone"), BEGINNING));
    const { revision } = unwrap(store.loadAll());
    unwrap(store.remove(newDevice("alice/phone").id));
    const second = unwrap(store.add(newDevice("alice/phone"), BEGINNING));
    expect(second).toBeGreaterThan(first);
    const changes = unwrap(store.changedSince(revision));
    expect(changes.changed.map(({ number }) => number)).toEqual([second]);
    expect(changes.removed).toEqual([]);
  });
});

describe("what cannot be", () => {
  const id = newDevice("alice/phone").id;

  test("a device that is not there", () => {
    const missing = { code: "not-found", message: "there is no device alice/phone" };
    expect(store.get(id)).toMatchObject({ ok: false, error: missing });
    expect(store.put(newDevice(id))).toMatchObject({ ok: false, error: missing });
    expect(store.update(id, (device) => device)).toMatchObject({ ok: false, error: missing });
    expect(store.remove(id)).toMatchObject({ ok: false, error: missing });
  });

  test("a device that is there already; the first one stays", () => {
    const device = newDevice("alice/phone");
    unwrap(store.add(device, BEGINNING));
    expect(store.add(newDevice("alice/phone"), BEGINNING)).toMatchObject({
      ok: false,
      error: { code: "exists", message: "device alice/phone exists already" },
    });
    expect(exposed(unwrap(store.get(id)))).toMatchObject(exposed(device) as object);
  });

  test("a refused change leaves the revision as it was", () => {
    const { revision } = unwrap(store.loadAll());
    expect(store.remove(id).ok).toBe(false);
    expect(unwrap(store.loadAll()).revision).toBe(revision);
  });

  test("a change that throws halfway changes nothing", () => {
    unwrap(store.add(newDevice("alice/phone"), BEGINNING));
    const before = exposed(unwrap(store.get(id)));
    const change = (device: object) => ({ ...device, current: { secret: newSecret(), since: 0.5 } }) as never;
    expect(store.update(id, change).ok).toBe(false);
    expect(exposed(unwrap(store.get(id)))).toEqual(before);
  });
});

describe("secrets do not show", () => {
  test("printed, inspected or put into JSON", () => {
    const device = full();
    unwrap(store.add(device, BEGINNING));
    const kept = unwrap(store.get(device.id));
    const bytes = device.current.secret.expose();
    for (const text of [
      inspect(kept, { depth: 9 }),
      JSON.stringify(kept),
      inspect(store),
      inspect(store.identity),
    ]) {
      expect(text).not.toContain(bytes.slice(0, 4).join(","));
      expect(text).not.toContain(Buffer.from(bytes).toString("hex").slice(0, 8));
      expect(text).not.toMatch(
        /\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+, +\d+/,
      );
    }
  });

  test("a removed device's are not left in the file", () => {
    const device = full();
    unwrap(store.add(device, BEGINNING));
    store.close();
    const all = [device.current, device.next, ...device.retired].map((held) =>
      Buffer.from(held?.secret.expose() ?? []),
    );
    const inFile = () => all.map((secret) => readFileSync(join(folder, "tock.db")).includes(secret));
    expect(inFile()).toEqual([true, true, true, true]);
    store = unwrap(DeviceStore.open(folder));
    unwrap(store.remove(device.id));
    store.close();
    expect(inFile()).toEqual([false, false, false, false]);
    store = unwrap(DeviceStore.open(folder));
  });
});

describe("second factors", () => {
  test("come back, once a user, until removed", () => {
    const secret = newSecret();
    expect(unwrap(store.otp.get("alice"))).toBeUndefined();
    unwrap(store.otp.add("alice", secret, LATER));
    expect(exposed(unwrap(reopened().otp.get("alice")))).toEqual(
      exposed({ secret, since: LATER, burned: -1 }),
    );
    expect(store.otp.add("alice", newSecret(), LATER)).toMatchObject({
      ok: false,
      error: { code: "exists" },
    });
    unwrap(store.otp.remove("alice"));
    expect(unwrap(store.otp.get("alice"))).toBeUndefined();
    expect(store.otp.remove("alice")).toMatchObject({ ok: false, error: { code: "not-found" } });
  });

  test("a counter is used up once, also by another process, and with it all before it", () => {
    unwrap(store.otp.add("alice", newSecret(), LATER));
    expect(unwrap(store.otp.burn("alice", 100))).toBe(true);
    expect(unwrap(store.otp.burn("alice", 100))).toBe(false);
    expect(unwrap(reopened().otp.burn("alice", 99))).toBe(false);
    expect(unwrap(reopened().otp.burn("alice", 101))).toBe(true);
    expect(unwrap(store.otp.burn("bob", 101))).toBe(false);
  });

  test("wrong codes are counted by device, and go with it", () => {
    const number = unwrap(store.add(newDevice("alice/phone"), BEGINNING));
    expect(unwrap(store.otp.guesses(number))).toBeUndefined();
    unwrap(store.otp.setGuesses(number, { wrong: 1, since: BEGINNING }));
    unwrap(store.otp.setGuesses(number, { wrong: 2, since: BEGINNING }));
    expect(unwrap(store.otp.guesses(number))).toEqual({ wrong: 2, since: BEGINNING });
    unwrap(store.remove(newDevice("alice/phone").id));
    expect(unwrap(store.otp.guesses(number))).toBeUndefined();
    const other = unwrap(store.add(newDevice("alice/laptop"), BEGINNING));
    unwrap(store.otp.setGuesses(other, { wrong: 9, since: BEGINNING }));
    unwrap(store.otp.setGuesses(other, undefined));
    expect(unwrap(store.otp.guesses(other))).toBeUndefined();
  });
});
