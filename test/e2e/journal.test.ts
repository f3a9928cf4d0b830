import { mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { STEP_MILLIS } from "../../shared/constants.ts";
import type { Device } from "../lab/device.ts";
import { udpFrame } from "../lab/frame.ts";
import { Scene } from "../lab/scene.ts";
import type { ServerSetup } from "../lab/tock-server.ts";
import { eventually, sleep } from "../lab/wait.ts";

/** Where the replay journal cannot be trusted or written, nothing opens; a recorded packet never does. */

let scene: Scene;
let device: Device;
let recorded: Buffer[];

const set = async (setup: ServerSetup = {}): Promise<void> => {
  scene = await Scene.set(setup);
  device = await scene.device("alice/recorded");
};

/** Opens by both forms, and closes again: two packets that were used. */
const record = async (): Promise<void> => {
  recorded = [device.packet(), device.stun(device.packet())];
  for (const payload of recorded) {
    await scene.send(scene.client, 4, payload);
    await scene.opens(scene.client, 4);
    await scene.close(device, scene.client);
  }
};

const replaysOpenNothing = async (): Promise<void> => {
  for (const payload of recorded) {
    await scene.send(scene.client, 4, payload);
    await scene.send(scene.stranger, 4, payload);
  }
  await sleep(150);
  expect(await scene.seenByAnyone()).toBe(false);
};

const freshOpens = async (): Promise<boolean> => {
  await scene.send(scene.client, 4, device.packet());
  await sleep(100);
  return scene.sees(scene.client, 4);
};

const journal = async (): Promise<string> => {
  const name = (await readdir(scene.daemon.state)).find((file) => file.includes("journal"));
  if (name === undefined) throw new Error("there is no journal");
  return join(scene.daemon.state, name);
};

afterEach(() => scene[Symbol.asyncDispose]());

describe("damaged between SIGKILL and the next start", () => {
  const damages: Readonly<Record<string, (file: string) => Promise<void>>> = {
    deleted: (file) => rm(file),
    "one byte short": async (file) => truncate(file, (await readFile(file)).length - 1),
    "not readable": async (file) => {
      await rm(file);
      await mkdir(file);
    },
    "something else": (file) => writeFile(file, "no journal\n".repeat(100)),
    empty: (file) => truncate(file, 0),
  };
  beforeEach(() => set());

  test.each(Object.keys(damages))(
    "%s: no old packet opens, and no new one while an old one could",
    async (name) => {
      await record();
      await scene.daemon.stop("SIGKILL");
      await damages[name]?.(await journal());
      await scene.daemon.start().catch((error: unknown) => {
        // With no journal to be had there is no daemon; the guard stands.
        expect(String(error)).toMatch(/journal/);
      });
      await replaysOpenNothing();
      expect(await freshOpens()).toBe(false);
    },
  );
});

test("deleted under a running daemon, then killed; in the next step new packets open", async () => {
  // Without skew only the current step could be replayed, so the wait is short.
  await set({ tables: { clock: { past: 0, future: 0 } } });
  const left = STEP_MILLIS - (Date.now() % STEP_MILLIS);
  if (left < 10_000) await sleep(left + 50);
  await record();
  await rm(await journal());
  await replaysOpenNothing();
  await scene.daemon.restart("SIGKILL");
  await replaysOpenNothing();
  expect(await freshOpens()).toBe(false);
  await eventually("new packets open again", freshOpens, { within: STEP_MILLIS + 10_000, every: 500 });
});

test("with a full disk nothing opens, and with room again it does", async () => {
  await set({ disk: "8M" });
  await record();
  const fill = join(scene.daemon.state, "fill");
  await scene.daemon.inside(["sh", "-c", `cat /dev/zero > ${fill} || true`]);
  // The journal has room for some more records; then it has to grow, and cannot.
  const from = { mac: scene.client.mac, address: scene.client.at(4), port: 40_000 };
  const to = { mac: scene.server.mac, ...scene.spa(4) };
  const many = Array.from({ length: 1_500 }, () => udpFrame(from, to, device.packet({ lifetime: 1 })));
  await (await scene.client.agent()).frames("eth0", many);
  await scene.daemon.logged("journal-error");
  await scene.shuts(scene.client, 4);
  expect(await freshOpens()).toBe(false);
  await replaysOpenNothing();
  await scene.daemon.inside(["rm", fill]);
  await eventually("new packets open again", freshOpens);
  await scene.close(device, scene.client);
  await replaysOpenNothing();
});
