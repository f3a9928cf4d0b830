import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Capture } from "../lab/capture.ts";
import type { Device } from "../lab/device.ts";
import { Scene } from "../lab/scene.ts";

/** A million requests that look like a browser's and are not: nothing opens, nothing answers, nothing breaks. */

const COUNT = 1_000_000;
const SEED = 20_261_122;

let scene: Scene;
let device: Device;
beforeAll(async () => {
  scene = await Scene.set();
  device = await scene.device("alice/browser");
});
afterAll(() => scene?.[Symbol.asyncDispose]());

test(`${COUNT} mutated requests`, async () => {
  const message = device.stun(device.packet({ replyWanted: true }));
  await using capture = await Capture.start(scene.server, `src host ${scene.server.at(4)}`);
  const script = fileURLToPath(new URL("support/stun-flood.ts", import.meta.url));
  const to = scene.spa(4);
  const args = [
    to.address,
    String(to.port),
    String(COUNT),
    String(SEED),
    Buffer.from(message).toString("hex"),
  ];
  const output = await scene.client.must(["nice", process.execPath, script, ...args], { timeout: 110_000 });
  const sent = Number(/sent (\d+)/.exec(output)?.[1]);
  expect(sent).toBeGreaterThan(COUNT * 0.99);
  expect(await scene.sees(scene.client, 4)).toBe(false);
  const udp = (await capture.sentByHost(scene.client)).filter(
    ({ protocol }) => protocol === 17 || protocol === 1,
  );
  expect(udp).toEqual([]);
  // The daemon is as it was: the real thing is taken and answered.
  const replies = await scene.send(scene.client, 4, device.stun(device.packet({ replyWanted: true })), {
    wait: 500,
  });
  expect(replies).toHaveLength(1);
  await scene.opens(scene.client, 4);
});
