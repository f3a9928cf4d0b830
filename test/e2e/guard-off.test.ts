import { appendFile, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tock, tockd } from "../lab/programs.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { SshServer } from "../lab/sshd.ts";
import { BACKENDS } from "../lab/tock-server.ts";

/** With the guard off everybody gets in, those whose ssh asks first included: it is the way back. */

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  let sshd: SshServer;

  beforeAll(async () => {
    scene = await Scene.set({ backend }, []);
    sshd = await SshServer.start(scene.server);
    await scene.daemon.enrol(scene.client, "alice/laptop");
    await scene.daemon.must("guard", "off");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  test("a device may ask, and close again", async () => {
    const opened = await scene.tock(scene.client, "open", "server");
    expect([opened.code, opened.stdout]).toEqual([0, expect.stringMatching(/^opened ssh/)]);
    await scene.daemon.logged("granted", { device: "alice/laptop", unguarded: true });
    const closed = await scene.tock(scene.client, "close", "server");
    expect([closed.code, closed.stdout]).toEqual([0, expect.stringMatching(/^closed ssh/)]);
  });

  test("ssh logs in by its ProxyCommand", async () => {
    const proxy = `ProxyCommand=${tock("proxy", "server", "%h", "%p").join(" ")}`;
    const options = [...sshd.options(10), "-o", proxy];
    const target = `root@${scene.server.address.v4}`;
    const { code, stdout, stderr } = await scene.client.run(["ssh", ...options, target, "echo in"]);
    expect([code, stdout], stderr).toEqual([0, "in\n"]);
  });

  test("what was asked for meanwhile is not open once the guard is on", async () => {
    await scene.tock(scene.client, "open", "server");
    await scene.daemon.must("guard", "on", "--unchecked");
    expect(await scene.sees(scene.client, 4)).toBe(false);
  });

  test("put on where no device could open it, it says so, as do status and doctor", async () => {
    const { daemon } = scene;
    const devices = JSON.parse(await daemon.must("device", "list", "--json")) as { device: string }[];
    for (const { device } of devices) await daemon.must("device", "disable", device);
    const on = await daemon.command("guard", "on");
    expect([on.code, on.stdout]).toEqual([0, "guard: on\n"]);
    expect(on.stderr).toMatch(/^tock: warning: no device is enrolled, so nobody could open it\ntock: hint: /);
    const status = await daemon.command("status");
    expect([status.code, status.stderr]).toEqual([1, expect.stringMatching(/no device can open it/)]);
    expect((await daemon.command("doctor")).stdout).toMatch(/the guard is on and no device can open it/);
    for (const { device } of devices) await daemon.must("device", "enable", device);
  });

  test("while no daemon runs the audit trail has a line of it all the same", async () => {
    const { daemon } = scene;
    const lines = async (): Promise<number> =>
      (await daemon.must("events", "--json")).split("\n").filter((line) => line.includes('"kind":"guard"'))
        .length;
    await daemon.stop("SIGTERM");
    const before = await lines();
    await daemon.must("guard", "on");
    expect(await daemon.must("events")).toMatch(/ guard .*state=on by=command\n$/);
    await daemon.must("guard", "off");
    expect(await daemon.must("events")).toMatch(/ guard .*state=off by=command\n$/);
    expect(await lines()).toBe(before + 2);
    await daemon.must("events", "--verify");
    await daemon.start();
    await daemon.must("guard", "on", "--unchecked");
    await daemon.must("events", "--verify");
  });

  test("put on while no daemon runs, it says that nobody can open", async () => {
    await scene.daemon.stop("SIGTERM");
    const { code, stdout, stderr } = await scene.daemon.command("guard", "on");
    expect([code, stdout]).toEqual([0, "guard: on\n"]);
    expect(stderr).toMatch(/^tock: warning: no daemon is running, so no device can open\ntock: hint: /);
  });

  test("at a start of the machine what was shut stays shut, also where the configuration has mistakes", async () => {
    const { daemon, server, client } = scene;
    const good = await readFile(daemon.config, "utf8");
    // A machine that starts has no rules.
    if (backend === "iptables") {
      await server.must(["iptables", "-t", "mangle", "-F"]);
      await server.must(["ip6tables", "-t", "mangle", "-F"]);
    } else await server.must(["nft", "flush", "ruleset"]);
    expect(await scene.sees(client, 4)).toBe(true);
    await appendFile(daemon.config, "mistake = \n");
    const { code, stderr } = await daemon.command("guard", "restore");
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^tock: error: .*tockd\.toml:/)]);
    for (const family of [4, 6] as const) expect(await scene.sees(client, family)).toBe(false);
    await writeFile(daemon.config, good);
    expect(await daemon.must("guard", "status")).toBe("guard: on\n");
  });

  test("it goes off also where the configuration has mistakes, without programs of the other backend", async () => {
    const { daemon, server } = scene;
    expect(await scene.sees(scene.client, 4)).toBe(false);
    await appendFile(daemon.config, "mistake = \n");
    const off = tockd("guard", "off", "--config", daemon.config);
    const hide =
      backend === "nftables" ? "mount -t tmpfs none /usr/sbin" : "mount --bind /bin/false /usr/sbin/nft";
    const { code, stdout, stderr } = await server.run(["sh", "-c", `${hide} && exec "$@"`, "sh", ...off], {
      timeout: 60_000,
    });
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^guard: off/)]);
    expect(stderr).toMatch(/^tock: warning: .* cannot be used: tockd check\n$/);
    expect(await scene.sees(scene.client, 4)).toBe(true);
  });
});

/** It is the way back also on a bad day. */
describe.each(BACKENDS)("%s, on a bad day", (backend) => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.set({ backend, disk: "16M" });
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const status = async (): Promise<string> => (await scene.daemon.command("guard", "status")).stdout;

  test.each(["with", "without"])("it goes off %s a daemon whose state folder is read-only", async (how) => {
    const { daemon } = scene;
    const { state } = daemon;
    await daemon.must("guard", "on", "--no-confirm");
    expect(await scene.seenByAnyone()).toBe(false);
    if (how === "without") await daemon.stop();
    const readOnly = `mount --bind ${state} ${state} && mount -o remount,bind,ro ${state}`;
    await daemon.inside(["sh", "-c", readOnly]);
    const { code, stderr } = await daemon.command("guard", "off");
    const why =
      /^(tock: warning: audit trail: cannot write .*\n)?tock: error: guard: off, but .*guard cannot be written: EROFS, so it comes back at the next start\n/;
    expect([code, stderr]).toEqual([1, expect.stringMatching(why)]);
    for (const family of FAMILIES) expect(await scene.sees(scene.stranger, family)).toBe(true);
    // A change to the rules makes the daemon look at its guard.
    await scene.server.must(["nft", "add", "table", "inet", "other"]);
    if (how === "with") expect((await daemon.command("status")).stdout).toMatch(/^guard +off /m);
    expect(await scene.sees(scene.stranger, 4)).toBe(true);
    await daemon.inside(["umount", state]);
    await daemon.must("guard", "off");
    if (how === "without") await daemon.start();
    expect(await status()).toBe("guard: off\n");
  });

  test("it goes off at once where the daemon hangs, and the daemon leaves it off", async () => {
    const { daemon } = scene;
    await daemon.must("guard", "on", "--no-confirm");
    expect(await scene.seenByAnyone()).toBe(false);
    // From Linux 6.9 on the daemon's socket owns the table of nft.
    const isOwned = (await scene.server.must(["nft", "list", "ruleset"])).includes("flags owner");
    const { pid, exited } = daemon.process;
    process.kill(pid, "SIGSTOP");
    const { code, stdout, stderr } = await daemon.command("guard", "off");
    expect([code, stdout], stderr).toEqual([0, expect.stringMatching(/^guard: off/)]);
    for (const family of FAMILIES) expect(await scene.sees(scene.stranger, family)).toBe(true);
    if (isOwned) {
      expect(stderr).toContain(`process ${pid}, does not answer and holds the rules: it is killed\n`);
      expect(await exited).toMatchObject({ signal: "SIGKILL" });
      await daemon.start();
    } else {
      expect(stderr).toContain(`done without it\ntock: hint: start it anew; it is process ${pid}:`);
      process.kill(pid, "SIGCONT");
    }
    expect((await daemon.command("status")).stdout).toMatch(/^guard +off /m);
    expect(await status()).toBe("guard: off\n");
  });
});
