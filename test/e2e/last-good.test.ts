import { appendFile, chmod, chown, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tockd } from "../lab/programs.ts";
import { Scene } from "../lab/scene.ts";
import type { Device } from "../lab/device.ts";
import { eventually } from "../lab/wait.ts";

/** A daemon whose configuration cannot be used starts from the last one that could: the guard is on, and the owner outside. */

let scene: Scene;
let phone: Device;
let alarms: string;
let good: string;

const NOBODY = 65_534;

beforeAll(async () => {
  scene = await Scene.set();
  const { server, daemon } = scene;
  alarms = server.path("alarms");
  const script = server.path("alarm.sh");
  await writeFile(alarms, "", { mode: 0o666 });
  await chmod(alarms, 0o666);
  await writeFile(script, `#!/bin/sh\necho "$TOCK_EVENT" >> ${alarms}\n`, { mode: 0o755 });
  await daemon.configure({ tables: { hooks: { on_alarm: [script] } } });
  await daemon.must("reload");
  phone = await scene.device("alice/phone");
  good = await readFile(daemon.config, "utf8");
});
afterAll(() => scene[Symbol.asyncDispose]());

const opens = async (): Promise<void> => {
  expect(await scene.seenByAnyone()).toBe(false);
  await scene.send(scene.client, 4, phone.packet());
  await scene.opens(scene.client, 4);
  await scene.close(phone, scene.client);
};

test("it starts, opens, and says so wherever somebody looks", async () => {
  const { daemon, client } = scene;
  await daemon.stop();
  await appendFile(daemon.config, '\n[services.web]\nports = ["tcp/8080"]\n\nrubbish = [\n');
  await daemon.start();
  await opens();
  const log = daemon.log().filter(({ msg }) => /last good/.test(String(msg)));
  expect(log).toEqual([expect.objectContaining({ level: "error", file: daemon.config })]);
  await eventually("the owner's program is told", async () =>
    (await readFile(alarms, "utf8")).includes("started"),
  );
  const status = await daemon.command("status");
  expect([status.code, status.stderr]).toEqual([
    1,
    expect.stringMatching(/^tock: warning: .*last good.*\n$/),
  ]);
  const doctor = await daemon.command("doctor");
  expect(doctor.stdout).toMatch(/^FAIL {2}config [^]*^warn {2}daemon .*last good/m);
  const check = await daemon.command("check");
  expect([check.code, check.stderr]).toEqual([2, expect.stringMatching(/last-good\.toml/)]);
  const guard = await daemon.command("guard", "status");
  expect(guard).toMatchObject({
    code: 0,
    stdout: "guard: on\n",
    stderr: expect.stringMatching(/last good/) as string,
  });
  // What it does not name is not there.
  const unknown = await daemon.command("grant", "alice", "web", client.address.v4);
  expect([unknown.code, unknown.stderr]).toEqual([1, expect.stringMatching(/web/)]);
});

test("a reload takes the mended file", async () => {
  const { daemon } = scene;
  const refused = await daemon.command("reload");
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("nothing was changed")]);
  await writeFile(daemon.config, good.replace("tcp/22", 'tcp/22", "tcp/23'));
  expect(await daemon.must("reload")).toBe("reloaded: services.ssh\n");
  expect((await daemon.command("status")).stderr).not.toMatch(/last good/);
  expect(await readFile(`${daemon.state}/last-good.toml`, "utf8")).toContain("tcp/23");
});

test("with the file gone it starts as long as a guard is wanted", async () => {
  const { daemon, server } = scene;
  await daemon.stop();
  await rename(daemon.config, `${daemon.config}.away`);
  // Without the file the state is where it usually is.
  const script = `mount -t tmpfs none /var/lib && mkdir /var/lib/tock && mount --bind ${daemon.state} /var/lib/tock && exec "$@"`;
  const run = ["sh", "-c", script, "sh", ...tockd("run", "--config", daemon.config)] as const;
  const process = server.start(run);
  await process.waitFor(/ready/, 60_000);
  await opens();
  await process.stop();
  await rename(`${daemon.config}.away`, daemon.config);
  await daemon.must("guard", "off");
  await rename(daemon.config, `${daemon.config}.away`);
  const { code, stderr } = await server.run(run, { timeout: 60_000 });
  expect([code, stderr]).toEqual([1, expect.stringMatching(/no such file/)]);
});

test("neither a start from it nor guard on without a daemon changes the last good one", async () => {
  const { daemon } = scene;
  const kept = join(daemon.state, "last-good.toml");
  await rename(`${daemon.config}.away`, daemon.config);
  // The daemon's user has kept it: root reads it without its hooks.
  const own = (await readFile(kept, "utf8")).replace(/^user = .*$/m, 'user = "nobody"');
  expect(own).toMatch(/^user = "nobody"$[^]*^on_alarm = /m);
  await writeFile(kept, own);
  for (const path of [daemon.state, kept]) await chown(path, NOBODY, NOBODY);
  await appendFile(daemon.config, "\nrubbish = [\n");
  await daemon.must("guard", "on");
  expect(await readFile(kept, "utf8")).toBe(own);
});

test("with nothing to go by it says what is wrong and ends", async () => {
  const { daemon, server } = scene;
  await writeFile(daemon.config, "rubbish = [\n", { mode: 0o600 });
  const { code, stderr } = await server.run(tockd("run", "--config", daemon.config), { timeout: 60_000 });
  expect([code, stderr]).toEqual([2, expect.stringMatching(/not TOML/)]);
});
