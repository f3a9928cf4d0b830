import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../lab/device.ts";
import { tockd } from "../lab/programs.ts";
import { Scene } from "../lab/scene.ts";
import { SshServer } from "../lab/sshd.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { eventually } from "../lab/wait.ts";

/** The guard on trial: it takes itself off unless a new session that came in through Tock keeps it. */

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  let phone: Device;
  let sshd: SshServer;

  beforeAll(async () => {
    scene = await Scene.set({ backend }, []);
    phone = await scene.device("alice/phone");
    sshd = await SshServer.start(scene.server);
    await scene.daemon.must("guard", "off");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const inSession = (command: string): string =>
    `${tockd(command).join(" ")} --config ${scene.daemon.config}`;
  const ssh = (command: string) => sshd.run(scene.client, scene.server.address.v4, inSession(command));
  const status = async (): Promise<{ guard: string; trial: number | null }> =>
    JSON.parse((await scene.daemon.command("guard", "status", "--json")).stdout) as never;

  test("is refused while no device has ever reached the server", async () => {
    const { code, stderr } = await ssh("guard on");
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/error: guard: no device has ever reached this server\ntock: hint: .*tock ping/),
    ]);
    expect((await status()).guard).toBe("off");
  });

  test("in an SSH session it is the default; an old session cannot keep it, a new one through Tock can", async () => {
    await scene.send(scene.client, 4, phone.packet({ type: "ping", service: undefined }));
    const old = await sshd.session(scene.client, scene.server.address.v4);
    let asked = 0;
    await eventually("the device was used", async () => {
      // One at a time: what was typed ahead on a busy machine would put the guard on again later.
      old.process.write(`${inSession("guard on")}; echo "<${++asked} ended $?>"\n`);
      return (await old.process.waitFor(new RegExp(`<${asked} ended (\\d)>`)))[1] === "0";
    });
    expect(old.process.stdout).toMatch(/guard: on, on trial: it takes itself off in 60 s/);
    expect(await status()).toMatchObject({ guard: "on", trial: expect.any(Number) as number });
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    old.process.write(`${inSession("guard confirm")}; echo "<confirm $?>"\n`);
    await old.process.waitFor(/<confirm 1>/);
    expect(old.process.stderr).toMatch(/not confirmed: this is the session that asked for the guard/);
    const console = await scene.daemon.command("guard", "confirm");
    expect([console.code, console.stderr]).toEqual([1, expect.stringMatching(/this is no SSH session/)]);

    await scene.send(scene.client, 4, phone.packet());
    await scene.opens(scene.client, 4);
    const confirmed = await ssh("guard confirm");
    expect([confirmed.code, confirmed.stdout]).toEqual([0, "guard: on; it stays on\n"]);
    expect(await status()).toEqual({ guard: "on", trial: null, allow: [], other: null });
    // A device came in lately, so the clocks agree.
    expect(old.process.stderr).not.toMatch(/nothing keeps this machine's clock right;/);
    const late = await scene.daemon.command("guard", "confirm");
    expect([late.code, late.stderr]).toEqual([1, expect.stringMatching(/there is no trial to confirm/)]);
    await old.ask("alive");
    const again = await ssh("guard confirm");
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/there is no trial to confirm/)]);
    await scene.daemon.must("guard", "off");
  });

  test("without a confirmation it takes itself off, and says so", async () => {
    const on = await scene.daemon.must("guard", "on", "--unchecked", "--confirm", "5s", "--json");
    expect(JSON.parse(on)).toEqual({ guard: "on", trial: 5 });
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    expect(await scene.sees(scene.stranger, 6)).toBe(false);
    await scene.opens(scene.stranger, 4);
    await scene.opens(scene.stranger, 6);
    await scene.daemon.logged("guard", { state: "off", by: "time" });
    expect(await status()).toEqual({ guard: "off", trial: null, allow: [], other: null });
    const late = await scene.daemon.command("guard", "confirm", "--force");
    expect([late.code, late.stderr]).toEqual([1, expect.stringMatching(/there is no trial to confirm/)]);
  });

  test("also when the daemon and the shell that asked are killed; the next daemon clears up", async () => {
    await scene.daemon.must("guard", "on", "--unchecked", "--confirm", "8s");
    await scene.daemon.stop("SIGKILL");
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    await scene.opens(scene.stranger, 4);
    await scene.opens(scene.stranger, 6);
    expect(await status()).toEqual({ guard: "off", trial: null, allow: [], other: null });
    await scene.daemon.start();
    const rules = await scene.server.must(
      backend === "iptables" ? ["iptables-save", "-t", "mangle"] : ["nft", "list", "ruleset"],
    );
    expect(rules).not.toMatch(/tock/i);
  });

  test("a daemon that comes back meanwhile goes on with it, and --force keeps it at the console", async () => {
    await scene.daemon.must("guard", "on", "--unchecked", "--confirm", "60s");
    await scene.daemon.restart("SIGKILL");
    expect(await status()).toMatchObject({ guard: "on", trial: expect.any(Number) as number });
    const kept = await scene.daemon.must("guard", "confirm", "--force", "--json");
    expect(JSON.parse(kept)).toEqual({ guard: "on", trial: null });
    expect(await status()).toEqual({ guard: "on", trial: null, allow: [], other: null });
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    const off = await scene.daemon.must("guard", "off", "--json");
    expect(JSON.parse(off)).toEqual({ guard: "off", trial: null });
  });
});

describe("where other rules redirect the protected port to sshd's own", () => {
  const PORT = 2222;
  let scene: Scene;
  let sshd: SshServer;

  beforeAll(async () => {
    scene = await Scene.set({ services: { ssh: { ports: [`tcp/${PORT}`] } } }, []);
    sshd = await SshServer.start(scene.server);
    const redirect = ["-p", "tcp", "--dport", String(PORT), "-j", "REDIRECT", "--to-ports", "22"];
    await scene.server.must(["iptables", "-t", "nat", "-A", "PREROUTING", ...redirect]);
    await scene.daemon.must("guard", "off");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const ssh = (port: number, command: string) => {
    const target = ["-p", String(port), `root@${scene.server.address.v4}`];
    const line = `${tockd(command).join(" ")} --config ${scene.daemon.config}`;
    return scene.client.run(["ssh", ...sshd.options(5), ...target, line], { timeout: 30_000 });
  };

  test("it is on trial by default too, and a session through Tock keeps it, one past it does not", async () => {
    const phone = await scene.device("alice/phone");
    expect(await ssh(PORT, "guard on")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/guard: no device has ever reached this server/) as string,
    });
    await scene.send(scene.client, 4, phone.packet({ type: "ping", service: undefined }));
    await eventually("the guard goes on trial", async () => {
      const { stdout } = await ssh(PORT, "guard on");
      return stdout.startsWith("guard: on, on trial: it takes itself off in 60 s");
    });
    expect(await scene.sees(scene.client, 4, PORT)).toBe(false);
    expect(await ssh(22, "guard confirm")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/port 22 is not protected.*\n.*--force/) as string,
    });
    await scene.send(scene.client, 4, phone.packet());
    await scene.opens(scene.client, 4, PORT);
    const confirmed = await ssh(PORT, "guard confirm");
    expect([confirmed.code, confirmed.stdout], confirmed.stderr).toEqual([0, "guard: on; it stays on\n"]);
  });

  test("in a session to a port that it does not shut as well, which conntrack need not know", async () => {
    await scene.daemon.must("guard", "off");
    await scene.server.must([
      "iptables",
      "-t",
      "raw",
      "-A",
      "PREROUTING",
      "-p",
      "tcp",
      "--dport",
      "22",
      "-j",
      "NOTRACK",
    ]);
    const on = await ssh(22, "guard on");
    expect([on.code, on.stdout], on.stderr).toEqual([0, expect.stringMatching(/^guard: on, on trial/)]);
    await scene.daemon.must("guard", "off");
  });
});
