import { existsSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Scene } from "../lab/scene.ts";

/**
 * The daemon killed (SIGKILL) at the calls that it makes to its store and its journal during a rotation, one after the
 * other. The client, which knows nothing of it, ends its rotation with the next daemon and opens. All points of both
 * sides, in one process, are in test/unit/rotation-kill.test.ts.
 */

const ROTATE = fileURLToPath(new URL("../lab/rotate-main.ts", import.meta.url));
const HOOK = fileURLToPath(new URL("../lab/kill-hook.ts", import.meta.url));
const POINTS = 22;

test(`a daemon that is killed at ${POINTS} points of a rotation locks nobody out`, async () => {
  await using scene = await Scene.set({
    users: { alice: {} },
    env: (host) => Promise.resolve({ NODE_OPTIONS: `--import ${HOOK}`, TOCK_KILL_FILE: host.path("kill") }),
  });
  await scene.daemon.enrol(scene.client, "alice/phone");
  const armed = scene.server.path("kill");
  const secretSince = async (): Promise<string> =>
    (
      JSON.parse(await scene.daemon.must("device", "show", "alice/phone", "--json")) as {
        secretSince: string;
      }
    ).secretSince;
  let before = await secretSince();
  for (let point = 1; point <= POINTS; point++) {
    await writeFile(`${armed}.new`, String(point));
    await rename(`${armed}.new`, armed);
    const rotating = scene.client.start([process.execPath, ROTATE, "server", "1"]);
    const { signal } = await scene.daemon.process.exited;
    expect([signal, existsSync(armed)], `point ${point}`).toEqual(["SIGKILL", false]);
    await scene.daemon.start();
    expect(await rotating.exited, `point ${point}: ${rotating.stdout}`).toMatchObject({ code: 0 });
    expect(rotating.stdout).toMatch(/rotate pong\n(.*\n)*open opened\n$/);
    const after = await secretSince();
    expect(after).not.toBe(before);
    before = after;
  }
}, 300_000);
