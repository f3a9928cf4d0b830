import { execFileSync } from "node:child_process";
import { appendFileSync, chmodSync, chownSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { Secret as OtpSecret, TOTP, URI } from "otpauth";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { programOf } from "../../../scripts/man/tockd.ts";
import { serveAdmin } from "../../../server/admin/server.ts";
import { loadSettings } from "../../../server/config/load.ts";
import { userIds } from "../../../server/sys/accounts.ts";
import { keepLastGood } from "../../../server/last-good.ts";
import { DeviceStore } from "../../../server/store/device-store.ts";
import { hex } from "../../../shared/bytes.ts";
import { decodeEnrolment } from "../../../shared/enrolment.ts";
import { ok, unwrap } from "../../../shared/result.ts";
import { NOON, type Ran, scratch, tockd } from "../../support/tockd.ts";

let config: string;
let state: string;
const run = (...args: string[]): Promise<Ran> => tockd([...args, "--config", config]);

beforeEach(async () => {
  const folder = scratch();
  config = join(folder, "tockd.toml");
  state = join(folder, "state");
  const flags = ["--state", state, "--name", "my", "--address", "203.0.113.7", "--user", "alice"];
  await run("init", ...flags, "--socket", join(folder, "tockd.sock"));
});

describe("tockd config", () => {
  test("prints a configuration that means the same", async () => {
    const other = join(scratch(), "other.toml");
    writeFileSync(other, (await run("config")).out, { mode: 0o600 });
    expect(loadSettings(other)).toEqual(loadSettings(config));
    expect((await tockd(["config", "--config", other])).out).toBe((await run("config")).out);
  });

  test("as JSON has the same tables", async () => {
    const { out } = await run("config", "--json");
    expect(JSON.parse(out)).toMatchObject({
      server: { name: "my", port: 62201 },
      rotation: { rotate_after: "30d", expire_after: "never" },
      services: { ssh: { ports: ["tcp/22"], ttl: "30s", max_ttl: "10m" } },
      users: { alice: { services: ["ssh"], second_factor: "off" } },
    });
  });

  test("shows no secret of the server or of a device", async () => {
    const { out: link } = await run("device", "add", "alice/phone", "--link");
    const device = unwrap(decodeEnrolment(link)).secret;
    const store = unwrap(DeviceStore.open(state));
    const { key } = store.identity;
    store.close();
    const said = (await run("config")).out + (await run("config", "--json")).out;
    for (const secret of [device, key]) {
      expect(said).not.toContain(hex(secret.expose()).slice(0, 8));
      expect(said).not.toContain(Buffer.from(secret.expose()).toString("base64url").slice(0, 8));
    }
  });
});

describe("tockd check", () => {
  test("counts what it found in order", async () => {
    expect(await run("check")).toEqual({
      code: 0,
      out: `${config}: no mistakes; 1 service, 1 user\n`,
      note: "",
    });
    expect(await run("check", "--json")).toEqual({ code: 0, out: "[]\n", note: "" });
  });

  test("a mistake keeps nobody from taking a device away", async () => {
    await run("device", "add", "alice/phone");
    const loaded = loadSettings(config);
    if (!loaded.ok) throw new Error("it has a mistake before");
    unwrap(keepLastGood(config, loaded.value));
    appendFileSync(config, "knok = true\n");
    const warning = `tock: warning: ${config} cannot be used, this goes by the last good configuration: tockd check\n`;
    for (const words of [
      ["device", "list"],
      ["device", "show", "alice/phone"],
      ["device", "disable", "alice/phone"],
      ["device", "enable", "alice/phone"],
      ["device", "remove", "alice/phone"],
      ["events", "--verify"],
    ]) {
      const { code, note } = await run(...words);
      expect([words, code, note.startsWith(warning)]).toEqual([words, 0, true]);
    }
    expect((await run("device", "add", "alice/tablet")).code).toBe(2);
  });

  test("no device is called what grants by command are written down under", async () => {
    expect(await run("device", "add", "alice/by-hand")).toMatchObject({
      code: 2,
      note: expect.stringMatching(
        /^tock: error: expected another name than alice\/by-hand: .*\ntock: hint: for example alice\/laptop\n$/,
      ) as string,
    });
  });

  // A user that every Debian has, as the daemon's.
  test.runIf(process.geteuid?.() === 0)("root is told that the daemon's user may not read it", async () => {
    const ids = userIds("daemon");
    if (ids === undefined) throw new Error("there is no user daemon");
    const folder = dirname(config);
    const user = `[server]\nuser = "daemon"\n`;
    writeFileSync(config, readFileSync(config, "utf8").replace("[server]\n", user), { mode: 0o600 });
    chmodSync(folder, 0o755);
    chownSync(config, 0, 0);
    chmodSync(config, 0o600);
    // A start as root hands both over.
    chownSync(state, 0, 0);
    expect((await run("check")).code).toBe(0);
    chownSync(state, ids.uid, ids.gid);
    const barred = `${config}: the daemon's user, daemon, has no permission to read it`;
    expect(await run("check")).toMatchObject({
      code: 1,
      note: `tock: error: ${barred}\ntock: hint: as root: chgrp daemon ${config}; chmod 640 ${config}\n`,
    });
    expect(JSON.parse((await run("check", "--json")).out)).toMatchObject([{ message: barred }]);
    expect((await run("doctor")).out).toContain(`FAIL  config      ${barred}\n`);
    chmodSync(folder, 0o700);
    chmodSync(config, 0o644);
    expect((await run("check")).note).toContain(`chgrp daemon ${folder}; chmod g+x ${folder}`);
    chmodSync(folder, 0o755);
    chownSync(config, 0, ids.gid);
    chmodSync(config, 0o640);
    expect((await run("check")).code).toBe(0);
  });

  test("gives each mistake to programs with its place", async () => {
    appendFileSync(config, "knok = true\n");
    const line = readFileSync(config, "utf8").split("\n").length - 1;
    const { code, out } = await run("check", "--json");
    expect(code).toBe(2);
    expect(JSON.parse(out)).toEqual([
      {
        file: config,
        line,
        column: 1,
        key: "users.alice.knok",
        message: "unknown key",
        hint: "did you mean knock?",
      },
    ]);
  });
});

describe("tockd user otp", () => {
  test("makes a secret that authenticator apps agree on", async () => {
    const { out, note } = await run("user", "otp", "add", "alice", "--uri");
    const totp = URI.parse(out.trim());
    expect(totp).toMatchObject({
      issuer: "Tock my",
      label: "alice",
      algorithm: "SHA1",
      digits: 6,
      period: 30,
    });
    const store = unwrap(DeviceStore.open(state));
    const secret = unwrap(store.otp.get("alice"))?.secret;
    store.close();
    if (!(totp instanceof TOTP) || secret === undefined) throw new Error("there is no secret");
    expect(secret).toHaveLength(20);
    expect(hex(totp.secret.bytes)).toBe(hex(secret.expose()));
    const code = execFileSync(
      "oathtool",
      ["--totp", "--now", "2026-11-22 12:00:00 UTC", hex(secret.expose())],
      { encoding: "utf8" },
    );
    expect(
      new TOTP({ secret: new OtpSecret({ buffer: secret.expose().slice().buffer }) }).generate({
        timestamp: NOON,
      }),
    ).toBe(code.trim());
    expect(note).toContain(
      'tock: hint: it is asked for once [users.alice] or a service says second_factor = "required"\n',
    );
  });

  test("shows it as QR code and address, or as JSON", async () => {
    const { out } = await run("user", "otp", "add", "alice");
    expect(out).toMatch(/^█{20,}\n[^]*\notpauth:\/\/totp\/Tock%20my:alice\?\S+\n$/);
    await run("user", "otp", "remove", "alice");
    const { user, uri } = JSON.parse((await run("user", "otp", "add", "alice", "--json")).out) as Record<
      string,
      string
    >;
    expect([user, uri?.slice(0, 15)]).toEqual(["alice", "otpauth://totp/"]);
  });

  test("removing one that is required says what that means", async () => {
    appendFileSync(config, 'second_factor = "required"\n');
    expect((await run("user", "otp", "add", "alice", "--uri")).note).not.toContain("hint");
    expect((await run("user", "otp", "remove", "alice")).note).toBe(
      "the second factor of alice is removed\n" +
        "tock: hint: alice can open nothing until tockd user otp add alice: the second factor is required\n",
    );
  });
});

describe("with a mistake in the configuration, the running daemon", () => {
  beforeEach(async () => {
    const methods = { grants: () => ok([]), revoke: () => ok({ ended: [], cut: 2 }) };
    const server = unwrap(await serveAdmin(join(config, "../tockd.sock"), {}, methods));
    appendFileSync(config, "knok = true\n");
    onTestFinished(() => void server.close());
  });
  const warned = () =>
    `tock: warning: ${config} cannot be used, and the daemon goes on without it: tockd check\n`;

  test("is asked what is open", async () => {
    expect(await run("grants")).toEqual({ code: 0, out: "", note: `${warned()}nothing is open\n` });
  });

  test("ends what is open", async () => {
    expect(await run("revoke", "alice", "--kill")).toEqual({
      code: 0,
      out: "cut: 2 connections\n",
      note: warned(),
    });
  });
});

describe("help", () => {
  test.each([
    ["--help"],
    ["init", "--help"],
    ["check", "--help"],
    ["device", "--help"],
    ["device", "add", "--help"],
    ["help", "device"],
    ["user", "otp", "--help"],
  ])("tockd %s %s %s", async (...args) => {
    const ran = await tockd(args.filter((arg) => arg !== undefined));
    expect(ran).toMatchObject({ code: 0, note: "" });
    expect(ran.out).toMatch(/^Usage: tockd /);
  });

  const leaves = (command: Command, words: readonly string[]): string[][] =>
    command.commands.length === 0
      ? [[...words]]
      : command.commands.flatMap((child) => leaves(child, [...words, child.name()]));

  test.each(leaves(programOf(), []).map((words) => [words.join(" "), words] as const))(
    "tockd %s has an example of itself",
    async (name, words) => {
      const { out } = await tockd([...words, "--help"]);
      expect(out).toMatch(/^Examples?:\n {2}\S/m);
      expect(out.slice(out.search(/^Examples?:$/m))).toContain(`tockd ${name}`);
    },
  );

  test("says what the exit codes mean", async () => {
    expect((await tockd(["--help"])).out).toMatch(/Exit codes:\n  0  done\n  1  .*\n  2  /);
  });
});
