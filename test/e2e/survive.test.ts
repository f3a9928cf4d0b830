import { mkdir, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../lab/device.ts";
import type { Argv } from "../lab/exec.ts";
import type { Host } from "../lab/host.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";

/** Doors close and the guard stands, whatever is killed, flushed or broken. */

let scene: Scene;
const services = { ssh: { ports: ["tcp/22"], ttl: "4s" } };
const flushes: readonly Argv[] = [
  ["nft", "flush", "ruleset"],
  ["iptables", "-t", "mangle", "-F"],
  ["ip6tables", "-t", "mangle", "-F"],
];

describe.each(BACKENDS)("%s", (backend) => {
  let device: Device;
  beforeAll(async () => {
    scene = await Scene.set({ backend, services });
    device = await scene.device("alice/laptop");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const openBoth = async (): Promise<void> => {
    for (const family of FAMILIES) await scene.send(scene.client, family, device.packet());
    for (const family of FAMILIES) await scene.opens(scene.client, family);
  };

  test("a guard that was flushed by hand is back within seconds, and opens again", async () => {
    for (const flush of flushes) {
      // Where the kernel refuses, so much the better.
      await scene.server.run(flush);
      for (const family of FAMILIES) expect(await scene.shuts(scene.client, family)).toBeLessThan(10_000);
      await openBoth();
      await scene.close(device, scene.client);
    }
  });

  test("guard off opens the port to all, and guard on shuts it", async () => {
    await scene.daemon.must("guard", "off");
    for (const family of FAMILIES) expect(await scene.sees(scene.stranger, family)).toBe(true);
    await scene.daemon.must("guard", "on");
    expect(await scene.seenByAnyone()).toBe(false);
  });

  test("a grant ends on time though the daemon was killed, and the guard stays", async () => {
    await openBoth();
    const start = performance.now();
    await scene.daemon.stop("SIGKILL");
    for (const family of FAMILIES) expect(await scene.sees(scene.client, family)).toBe(true);
    for (const family of FAMILIES) await scene.shuts(scene.client, family);
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(await scene.seenByAnyone()).toBe(false);
  });

  test("stopping the daemon leaves the guard on", async () => {
    await scene.daemon.start();
    await scene.daemon.stop();
    expect(await scene.seenByAnyone()).toBe(false);
  });
});

test("when iptables fails nothing is called open, the error is clear, and later it works again", async () => {
  await using own = await Scene.set({ services, env: brokenTools });
  scene = own;
  const broken = scene.server.path("broken");
  await scene.daemon.enrol(scene.client, "alice/laptop");
  expect((await scene.tock(scene.client, "open", "server", "ssh")).code).toBe(0);
  await scene.shuts(scene.client, 4);

  await writeFile(broken, "");
  for (const tables of ["iptables", "ip6tables"]) {
    await scene.server.must([tables, "-t", "mangle", "-F"]);
    await scene.server.must([tables, "-t", "mangle", "-X"]);
  }
  await scene.server.must(["ipset", "destroy"]);
  await scene.daemon.logged("firewall-error");
  const refused = await scene.tock(scene.client, "open", "server", "ssh");
  expect(refused.code).toBe(1);
  expect(refused.stdout + refused.stderr).toMatch(/firewall/);
  expect(refused.stdout).not.toMatch(/\bopened\b/);

  await rm(broken);
  for (const family of FAMILIES) await scene.shuts(scene.client, family);
  const opened = await scene.tock(scene.client, "open", "server", "ssh");
  expect(opened, opened.stderr).toMatchObject({ code: 0 });
  expect(await scene.sees(scene.client, 4)).toBe(true);
});

/** Puts tools before the real ones in the daemon's PATH that fail while the file `broken` is there. Gives the PATH. */
async function brokenTools(server: Host): Promise<Record<string, string>> {
  const folder = server.path("tools");
  await mkdir(folder);
  for (const tool of ["iptables-restore", "ip6tables-restore"]) {
    const script = `#!/bin/sh
if [ -e ${server.path("broken")} ]; then
  echo "${tool}: out of order" >&2
  exit 4
fi
PATH=$(echo "$PATH" | sed 's|^${folder}:||')
exec ${tool} "$@"
`;
    await writeFile(`${folder}/${tool}`, script, { mode: 0o755 });
  }
  return { PATH: `${folder}:${process.env["PATH"] ?? ""}` };
}
