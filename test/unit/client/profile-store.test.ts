import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tockHome } from "../../../client/home.ts";
import { withLock } from "../../../client/lock.ts";
import { decodeProfile, encodeProfile } from "../../../client/profile.ts";
import { ProfileStore } from "../../../client/profile-store.ts";
import { unwrap } from "../../../shared/result.ts";
import { FakeDaemon } from "./fake-daemon.ts";
import { Tock } from "./run-tock.ts";

describe("the folder", () => {
  const linux = (env: Record<string, string>) => tockHome({ HOME: "/home/bob", ...env }, "linux");

  test("is TOCK_HOME, or the platform's place for configuration", () => {
    expect(linux({ TOCK_HOME: "/srv/t" })).toBe("/srv/t");
    expect(linux({ XDG_CONFIG_HOME: "/x" })).toBe("/x/tock");
    expect(linux({})).toMatch(/\/\.config\/tock$/);
    expect(linux({ XDG_CONFIG_HOME: "relative" })).toMatch(/\/\.config\/tock$/);
    expect(tockHome({}, "darwin")).toMatch(/\/Library\/Application Support\/tock$/);
    expect(tockHome({ APPDATA: "/c/Users/bob/AppData/Roaming" }, "win32")).toBe(
      "/c/Users/bob/AppData/Roaming/tock",
    );
  });
});

describe("profiles", () => {
  test("are private from the first moment, whatever the umask", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.create();
    const before = process.umask(0);
    await tock.enrol(daemon, "box");
    process.umask(before);
    expect(statSync(tock.profilePath("box")).mode & 0o777).toBe(0o600);
    expect(statSync(join(tock.home, "profiles")).mode & 0o777).toBe(0o700);
  });

  test("read back as they were written", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const text = readFileSync(tock.profilePath("fake"), "utf8");
    const profile = unwrap(decodeProfile("fake", text));
    expect(encodeProfile(profile)).toBe(text);
    const { secret, ...info } = daemon.enrolment();
    expect(profile.info).toEqual(info);
    expect(profile.keys.kind === "plain" && profile.keys.keys.current.equals(secret)).toBe(true);
  });

  test("are not shown by an error, an inspection or JSON", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const { secret } = daemon.enrolment();
    const profile = new ProfileStore(tock.home).load("fake");
    const shown = JSON.stringify(profile) + (await import("node:util")).inspect(profile, { depth: 9 });
    expect(shown).toContain("[secret]");
    expect(shown).not.toContain(Buffer.from(secret.expose()).toString("base64url"));
  });

  test("a half-written draft of a process that died is no profile", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    writeFileSync(join(tock.home, "profiles", ".123-4.5.tmp"), "{");
    writeFileSync(join(tock.home, "profiles", "notes.txt"), "");
    expect(new ProfileStore(tock.home).names()).toEqual(["fake"]);
  });

  test("of one name: the second is refused, and the first stays", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const before = readFileSync(tock.profilePath("fake"), "utf8");
    await expect(tock.enrol(daemon, "fake")).rejects.toThrow("profile fake exists already");
    expect(readFileSync(tock.profilePath("fake"), "utf8")).toBe(before);
  });

  test("a change that fails leaves the file and no draft", async () => {
    await using daemon = await FakeDaemon.start();
    await using tock = await Tock.enrolledAt(daemon);
    const store = new ProfileStore(tock.home);
    const before = readFileSync(tock.profilePath("fake"), "utf8");
    const broken = () => {
      throw new Error("no");
    };
    await expect(store.update("fake", broken)).rejects.toThrow("no");
    // A folder in the place of the file cannot be replaced by it.
    mkdirSync(tock.profilePath("other"));
    await expect(
      store.update("fake", (profile) => ({ ...profile, createdAt: profile.createdAt })),
    ).resolves.toBeDefined();
    expect(readFileSync(tock.profilePath("fake"), "utf8")).toBe(before);
    expect(readdirSync(join(tock.home, "profiles")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

describe("the lock", () => {
  const lockModule = new URL("../../../client/lock.ts", import.meta.url).href;

  /** Adds 1 to the number in a file, n times, each under the lock. */
  function counter(lock: string, file: string, times: number) {
    const script = `
      import { readFileSync, writeFileSync } from "node:fs";
      import { withLock } from ${JSON.stringify(lockModule)};
      for (let i = 0; i < ${times}; i++) {
        await withLock(${JSON.stringify(lock)}, () => {
          const n = Number(readFileSync(${JSON.stringify(file)}, "utf8"));
          writeFileSync(${JSON.stringify(file)}, String(n + 1));
        });
      }`;
    return spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
  }

  test("lets one process in at a time", async () => {
    await using tock = await Tock.create();
    const [lock, file] = [join(tock.home, "lock"), join(tock.home, "count")];
    writeFileSync(file, "0");
    const children = Array.from({ length: 3 }, () => counter(lock, file, 60));
    await Promise.all(children.map((child) => once(child, "exit")));
    expect(readFileSync(file, "utf8")).toBe("180");
  });

  test("is free when the process that held it was killed", async () => {
    await using tock = await Tock.create();
    const lock = join(tock.home, "lock");
    const script = `
      import { withLock } from ${JSON.stringify(lockModule)};
      await withLock(${JSON.stringify(lock)}, () => {
        process.stdout.write("held");
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });`;
    const holder = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(holder.stdout, "data");
    holder.kill("SIGKILL");
    await once(holder, "exit");
    expect(await withLock(lock, () => "mine")).toBe("mine");
  });

  test("gives back what the change threw, and lets go", async () => {
    await using tock = await Tock.create();
    const lock = join(tock.home, "lock");
    const broken = () => {
      throw new RangeError("broken");
    };
    await expect(withLock(lock, broken)).rejects.toThrow("broken");
    expect(await withLock(lock, () => 1)).toBe(1);
  });
});
