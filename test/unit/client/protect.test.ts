import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { sealedVault, newPassphraseLock, parseLock, passphraseKey } from "../../../client/sealed-vault.ts";
import { unwrap } from "../../../shared/result.ts";
import { decodeProfile } from "../../../client/profile.ts";
import { expectFailure } from "./expect-error.ts";
import { FakeDaemon } from "./fake-daemon.ts";
import { Tock } from "./run-tock.ts";

const PASSPHRASE = "correct horse battery";

/** What is typed on descriptor 0. */
const typed = (...lines: string[]) => ({ input: lines.map((line) => `${line}\n`).join("") });

describe("a passphrase", () => {
  test("seals the secrets, and each use needs it", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    const secret = Buffer.from(daemon.current.expose()).toString("base64url");
    expect(readFileSync(tock.profilePath("fake"), "utf8")).toContain(secret);
    const protect = ["protect", "fake", "--passphrase", "--passphrase-fd", "0"];
    expect((await tock.run(protect, typed(PASSPHRASE))).code).toBe(0);
    expect(readFileSync(tock.profilePath("fake"), "utf8")).not.toContain(secret);

    expectFailure(await tock.run(["open", "fake"]), [
      2,
      "profile fake asks for a passphrase, and there is no terminal",
      "give it with --passphrase-fd",
    ]);
    const open = ["open", "fake", "--passphrase-fd", "0"];
    expect((await tock.run(open, typed(PASSPHRASE))).code).toBe(0);
    expectFailure(await tock.run(open, typed("correct horse")), [1, "profile fake: the passphrase is wrong"]);
    expect(daemon.seen.length).toBe(1);
  });

  test("stays through a rotation, can be changed, and taken away", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon, { isStatic: false });
    const fd = ["--passphrase-fd", "0"];
    await tock.run(["protect", "fake", "--passphrase", ...fd], typed(PASSPHRASE));
    expect((await tock.run(["rotate", "fake", ...fd], typed(PASSPHRASE))).code).toBe(0);
    const other = "another passphrase";
    expect((await tock.run(["protect", "fake", "--passphrase", ...fd], typed(PASSPHRASE, other))).code).toBe(
      0,
    );
    expect((await tock.run(["open", "fake", ...fd], typed(PASSPHRASE))).code).toBe(1);
    expect((await tock.run(["protect", "fake", "--none", ...fd], typed(other))).code).toBe(0);
    expect((await tock.run(["open", "fake"])).code).toBe(0);
    expect(daemon.seen.at(-1)?.under).toBe("current");
  });

  test("can be there from the start", async () => {
    await using daemon = await FakeDaemon.start({}, { enrolling: true });
    await using tock = await Tock.create();
    // The link comes as an argument here, since standard input brings the passphrase.
    const args = ["enroll", daemon.link(), "--passphrase", "--passphrase-fd", "0"];
    expect((await tock.run(args, typed(PASSPHRASE))).code).toBe(0);
    expect(readFileSync(tock.profilePath("fake"), "utf8")).toContain('"kind": "sealed"');
    expect((await tock.run(["open", "fake", "--passphrase-fd", "0"], typed(PASSPHRASE))).code).toBe(0);
  });

  test("of less than 8 characters is refused", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const result = await tock.run(
      ["protect", "fake", "--passphrase", "--passphrase-fd", "0"],
      typed("1234567"),
    );
    expectFailure(result, [2, "the passphrase has 7 characters, and needs 8 or more"]);
  });
});

describe("the seal", () => {
  test("holds against a changed byte, another server and another lock", async () => {
    await using daemon = await FakeDaemon.start();
    await using other = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const text = readFileSync(tock.profilePath("fake"), "utf8");
    const { info, keys } = unwrap(decodeProfile("fake", text));
    if (keys.kind !== "plain") throw new Error("expected a profile in the clear");
    const lock = { ...newPassphraseLock(), n: 1024 };
    const vault = sealedVault("fake", info, lock, passphraseKey(PASSPHRASE, lock));
    const sealed = vault.seal(keys.keys);
    if (sealed.kind !== "sealed") throw new Error("expected a sealed profile");
    expect(vault.open(sealed).current.equals(daemon.current)).toBe(true);
    for (const index of sealed.box.keys()) {
      const box = sealed.box.map((byte, at) => (at === index ? byte ^ 1 : byte));
      expect(() => vault.open({ ...sealed, box }), `byte ${index}`).toThrow("the passphrase is wrong");
    }
    const stranger = sealedVault("fake", other.enrolment(), lock, passphraseKey(PASSPHRASE, lock));
    expect(() => stranger.open(sealed)).toThrow("the passphrase is wrong");
    const salted = { ...sealed, lock: newPassphraseLock() };
    expect(() => vault.open(salted)).toThrow("it was locked anew while this ran");
  });

  test.each([
    ["a cost that would take all memory", { kind: "passphrase", n: 2 ** 30, r: 8, p: 1, salt: "" }],
    ["a cost that is no power of two", { kind: "passphrase", n: 1000, r: 8, p: 1, salt: "" }],
    ["no cost", { kind: "passphrase", n: 0, r: 8, p: 1, salt: "" }],
    ["parallelism without end", { kind: "passphrase", n: 1024, r: 8, p: 1e6, salt: "" }],
    ["no salt", { kind: "passphrase", n: 1024, r: 8, p: 1 }],
    ["another kind", { kind: "tpm" }],
    ["a keyring without an account", { kind: "keyring" }],
  ])("refuses a lock with %s", (_case, lock) => {
    expect(parseLock(lock)).toBe(undefined);
  });

  test("a file that asks for all memory is refused before any is taken", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    await tock.run(["protect", "fake", "--passphrase", "--passphrase-fd", "0"], typed(PASSPHRASE));
    const path = tock.profilePath("fake");
    writeFileSync(path, readFileSync(path, "utf8").replace('"n": 131072', '"n": 1073741824'));
    const result = await tock.run(["open", "fake", "--passphrase-fd", "0"], typed(PASSPHRASE));
    expectFailure(result, [
      1,
      "profile fake: it is locked in a way that this tock does not know",
      "update tock",
    ]);
  });
});

test("a keyring that cannot be reached is told, and the profile stays as it was", async () => {
  await using daemon = await FakeDaemon.start();
  await using tock = await Tock.enrolledAt(daemon);
  const before = readFileSync(tock.profilePath("fake"), "utf8");
  const env = { DBUS_SESSION_BUS_ADDRESS: "unix:path=/nonexistent" };
  const { code, stderr } = await tock.run(["protect", "fake", "--keyring"], { env });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^tock: error: (the keyring failed|there is no keyring here): /);
  expect(readFileSync(tock.profilePath("fake"), "utf8")).toBe(before);
});
