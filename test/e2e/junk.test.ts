import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Capture } from "../lab/capture.ts";
import { Scene } from "../lab/scene.ts";

/** Two million datagrams of junk at full speed: no crash, no answer, memory and log bounded, and the door still works. */

const COUNT = 2_000_000;
const SEED = 20_261_122;

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.set();
});
afterAll(() => scene?.[Symbol.asyncDispose]());

function megabytes(): number {
  const status = readFileSync(`/proc/${scene.daemon.process.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
}

test(`${COUNT} datagrams, and genuine ones in the midst of them`, async () => {
  const device = await scene.device("alice/laptop");
  const packet = device.packet({ replyWanted: true });
  const junk = [packet, device.stun(packet)].map((bytes) => bytes.toString("hex"));
  const script = fileURLToPath(new URL("../support/junk-flood.ts", import.meta.url));
  const { address, port } = scene.spa(4);
  const flood = (count: number, seed: number): Promise<string> =>
    scene.stranger.must(
      ["nice", process.execPath, script, address, String(port), String(count), String(seed), ...junk],
      {
        timeout: 280_000,
      },
    );
  // What the first junk makes room for is no leak.
  await flood(COUNT / 10, SEED);
  const before = megabytes();
  const lines = scene.daemon.log().length;

  const filter = `host ${scene.stranger.at(4)} and src host ${scene.server.at(4)}`;
  await using capture = await Capture.start(scene.server, filter);
  const progress = { isOver: false };
  const flooding = flood(COUNT - COUNT / 10, SEED + 1).finally(() => {
    progress.isOver = true;
  });
  let opened = 0;
  while (!progress.isOver) {
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    const fresh = device.packet({ replyWanted: true, lifetime: 1 });
    const replies = await scene.send(scene.client, 4, fresh, { wait: 1_000 });
    if (replies.length === 1) opened++;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  expect(Number(/sent (\d+)/.exec(await flooding)?.[1])).toBeGreaterThan((COUNT - COUNT / 10) * 0.99);

  expect(opened).toBeGreaterThan(0);
  await scene.send(scene.client, 4, device.packet());
  await scene.opens(scene.client, 4);
  expect(await scene.sees(scene.stranger, 4)).toBe(false);
  expect(await capture.sentByHost(scene.stranger)).toEqual([]);
  expect(megabytes() - before).toBeLessThan(60);
  // One line for each grant, and a summary a minute.
  const told = scene.daemon.log().length - lines;
  expect(told).toBeLessThan(3 * opened + 40);
}, 300_000);
