import { chmod, chown, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { base64url } from "../../shared/bytes.ts";
import { expectFailure } from "../unit/client/expect-error.ts";
import { FakeDaemon } from "../unit/client/fake-daemon.ts";
import { type Output } from "../lab/exec.ts";
import { Tock } from "../unit/client/run-tock.ts";

/** What can be wrong with links and with profile files: each case has its message, its hint and its exit code. */

let daemon: FakeDaemon;
let tock: Tock;
let link: string;

beforeAll(async () => {
  daemon = await FakeDaemon.start();
  tock = await Tock.create();
  link = daemon.link();
  await tock.enrol(daemon, "box");
  await tock.enrol(daemon, "other");
});

afterAll(async () => {
  await tock[Symbol.asyncDispose]();
  await daemon[Symbol.asyncDispose]();
});

const LINK_HINT = "copy the whole link, or ask for a new one: tockd device add prints it";

describe("links", () => {
  /** The link with one field of its payload changed, or left out. */
  function forged(field: string, value: unknown): string {
    const [prefix = "", payload = ""] = link.split("#");
    const json = JSON.parse(Buffer.from(payload, "base64url").toString()) as Record<string, unknown>;
    return `${prefix}#${base64url(Buffer.from(JSON.stringify({ ...json, [field]: value })))}`;
  }

  const damaged = "enrolment link: the part after # is damaged or cut short";
  test.each<readonly [string, () => string, string]>([
    ["no link", () => "hello", "enrolment link: expected tock://enroll/1#… or a page's address with #…"],
    [
      "another version",
      () => link.replace("/1#", "/2#"),
      "enrolment link: expected tock://enroll/1#… or a page's address with #…",
    ],
    ["no payload", () => link.slice(0, link.indexOf("#") + 1), damaged],
    ["cut short", () => link.slice(0, -3), damaged],
    ["a letter that base64url has not", () => `${link}!`, damaged],
    ["not JSON", () => "tock://enroll/1#aGVsbG8", damaged],
    [
      "a short secret",
      () => forged("secret", "AAAA"),
      "enrolment link: secret is missing or of a wrong length",
    ],
    [
      "no server id",
      () => forged("serverId", undefined),
      "enrolment link: serverId or serverKey is missing or of a wrong length",
    ],
    ["no user", () => forged("device", "laptop"), "enrolment link: device is not user/device"],
    [
      "a name with a slash",
      () => forged("server", "../x"),
      "enrolment link: server is not a name of 1 to 63 letters, digits, . - and _",
    ],
    [
      "no address",
      () => forged("addresses", []),
      "enrolment link: addresses is not a list of 1 to 8 addresses or host names",
    ],
    [
      "an address with a command in it",
      () => forged("addresses", ["1.2.3.4;reboot"]),
      "enrolment link: addresses is not a list of 1 to 8 addresses or host names",
    ],
    ["port 0", () => forged("port", 0), "enrolment link: port is not from 1 to 65535"],
    [
      "a knock range of 10 ports",
      () => forged("knock", { first: 1, last: 10, length: 4, transport: "tcp" }),
      "enrolment link: knock is not a range of ports, a length from 3 to 8 and a transport",
    ],
    [
      "no services",
      () => forged("services", []),
      "enrolment link: services is not a list of names with their ports",
    ],
    [
      "a service with no such port",
      () => forged("services", [{ name: "ssh", ports: ["tcp/0"] }]),
      "enrolment link: services is not a list of names with their ports",
    ],
    [
      "an age that is no number",
      () => forged("rotateAfter", "1d"),
      "enrolment link: rotateAfter is not a number of seconds",
    ],
  ])("%s", async (_case, make, message) => {
    const result = await tock.run(["enroll", "-"], { input: `${make()}\n` });
    expectFailure(result, [1, message, LINK_HINT]);
    expect(await readdir(join(tock.home, "profiles"))).not.toContain("fake.json");
  });

  test("nothing on standard input", async () => {
    expectFailure(await tock.run(["enroll", "-"]), [
      2,
      "expected an enrolment link on standard input, got nothing",
    ]);
  });

  test("a name that is taken", async () => {
    const hint = "choose another with --name; --replace keeps this one until the new one is enrolled";
    const result = await tock.run(["enroll", "-", "--name", "box"], { input: link });
    expectFailure(result, [1, "profile box exists already", hint]);
  });

  test("an error never repeats the link, and a link as an argument gets a hint", async () => {
    const secret = link.slice(link.indexOf("#") + 1);
    const { stdout, stderr } = await tock.run(["enroll", link.slice(0, -2)]);
    expect(stdout + stderr).not.toContain(secret.slice(0, 24));
    expect(stderr.split("\n")[0]).toBe(
      "tock: hint: a link given as an argument can be seen in the process list: tock enroll - reads it from standard input",
    );
  });
});

describe("profile files", () => {
  const path = () => tock.profilePath("box");
  let good: string;

  beforeAll(async () => {
    good = await readFile(path(), "utf8");
  });

  async function withFile(text: string, mode = 0o600): Promise<Output> {
    try {
      await writeFile(path(), text);
      await chmod(path(), mode);
      return await tock.run(["open", "box"]);
    } finally {
      await writeFile(path(), good);
      await chmod(path(), 0o600);
    }
  }

  const RESTORE = "restore it from a backup, or run tock forget box and enrol again";
  test.each<readonly [string, (file: string) => string, string, string]>([
    ["empty", () => "", "profile box: the file is damaged: it is not JSON", RESTORE],
    ["cut short", (file) => file.slice(0, -5), "profile box: the file is damaged: it is not JSON", RESTORE],
    [
      "a later schema",
      (file) => file.replace('"version": 1', '"version": 2'),
      "profile box: expected version 1, got version 2",
      "a newer tock wrote it; update this one",
    ],
    [
      "no schema",
      () => "{}",
      "profile box: expected version 1, got no version",
      "a newer tock wrote it; update this one",
    ],
    ["no keys", (file) => file.replace('"keys"', '"kees"'), "profile box: its secrets are damaged", RESTORE],
    [
      "a secret too short",
      (file) => file.replace(/"current": "..../, '"current": "'),
      "profile box: its secrets are damaged",
      RESTORE,
    ],
    [
      "a server without a port",
      (file) => file.replace('"port"', '"pork"'),
      "profile box: server.port is not from 1 to 65535",
      RESTORE,
    ],
    [
      "an unknown protection",
      (file) => file.replace(/"keys": \{[^}]*\}/, '"keys": {"kind":"sealed","lock":{"kind":"tpm"},"box":""}'),
      "profile box: it is locked in a way that this tock does not know",
      "update tock",
    ],
  ])("%s", async (_case, change, message, hint) => {
    expectFailure(await withFile(change(good)), [1, message, hint]);
  });

  test.each([0o640, 0o604, 0o620])("mode %o", async (mode) => {
    const message = `${path()}: expected mode 0600, since it guards secrets, got 0${mode.toString(8)}`;
    expectFailure(await withFile(good, mode), [1, message, `chmod 600 ${path()}`]);
  });

  test("a folder that others can enter", async () => {
    const folder = join(tock.home, "profiles");
    await chmod(folder, 0o755);
    const message = `${folder}: expected mode 0700, since it guards secrets, got 0755`;
    const result = await tock.run(["open", "box"]);
    await chmod(folder, 0o700);
    expectFailure(result, [1, message, `chmod 700 ${folder}`]);
  });

  test("a file of another user", async () => {
    await chown(path(), 65534, 65534);
    const result = await tock.run(["open", "box"]);
    await chown(path(), 0, 0);
    const hint = "use it as its owner, or set TOCK_HOME to a folder of your own";
    expectFailure(result, [1, `${path()}: it belongs to another user (uid 65534)`, hint]);
  });

  test("a symbolic link", async () => {
    await rename(path(), `${path()}.away`);
    await symlink(`${path()}.away`, path());
    const result = await tock.run(["open", "box"]);
    await rm(path());
    await rename(`${path()}.away`, path());
    expectFailure(result, [1, `${path()}: expected a file, got a symbolic link`]);
  });

  test("a folder in the place of the file", async () => {
    await rename(path(), `${path()}.away`);
    await mkdir(path());
    const result = await tock.run(["open", "box"]);
    await rm(path(), { recursive: true });
    await rename(`${path()}.away`, path());
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^tock: error: /);
    expect(result.stderr).not.toContain("    at ");
  });

  test("a damaged profile does not hide the others", async () => {
    await writeFile(path(), "{");
    const { code, stdout, stderr } = await tock.run(["list"]);
    await writeFile(path(), good);
    expect(code).toBe(1);
    expect(stdout).toContain("other  alice/laptop");
    expect(stderr).toContain("tock: error: profile box: the file is damaged");
  });
});
