import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { must } from "../lab/exec.ts";
import { Scene } from "../lab/scene.ts";
import { eventually } from "../lab/wait.ts";

/** Rotation over a bad line, with a daemon that is killed again and again. */

const ROTATE = fileURLToPath(new URL("../lab/rotate-main.ts", import.meta.url));
const ROTATIONS = 100;
const RESTARTS = 4;

test("100 rotations in a row, 30 % lost each way, across restarts: the device is never locked out", async () => {
  await using scene = await Scene.set({
    users: { alice: {} },
    tables: { rotation: { rotate_after: "1s" } },
  });
  await scene.daemon.enrol(scene.client, "alice/phone");
  // By random numbers in the bridge: not every kernel has netem.
  await scene.lab.wire.lose("numgen random mod 100 < 30 counter");
  const argv = [process.execPath, ROTATE, "server", String(ROTATIONS)] as const;
  const rotating = scene.client.start(argv);
  const results = (line: string): number =>
    rotating.stdout.split("\n").filter((each) => each === line).length;
  for (let restart = 1; restart <= RESTARTS; restart++) {
    const until = (ROTATIONS / (RESTARTS + 1)) * restart;
    await eventually(`${until} rotations`, () => results("rotate pong") >= until || !rotating.running, {
      within: 60_000,
    });
    await scene.daemon.restart("SIGKILL");
  }
  expect(await rotating.exited).toMatchObject({ code: 0 });
  expect(results("rotate pong")).toBe(ROTATIONS);
  expect(results("open opened"), rotating.stdout).toBe(1);
  // Each was refused only where its packets were lost, or the daemon was away.
  expect(rotating.stdout.match(/ (?!pong|silence|opened)\S+$/gm)).toBeNull();
  const nft = [
    "ip",
    "netns",
    "exec",
    scene.lab.wire.namespace,
    "nft",
    "list",
    "table",
    "bridge",
    "lab",
  ] as const;
  expect(Number(/counter packets (\d+)/.exec(await must(nft))?.[1])).toBeGreaterThan(100);
});
