import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEP_MILLIS } from "../../shared/constants.ts";
import { decodeStunRequest } from "../../shared/stun.ts";
import { Capture } from "../lab/capture.ts";
import type { Device } from "../lab/device.ts";
import { udpFrame } from "../lab/frame.ts";
import type { Family } from "../lab/host.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { sleep } from "../lab/wait.ts";

/** Whoever recorded a packet has nothing: sent again it opens nothing, whatever happened in between. */

const FORMS = ["raw", "stun"] as const;
const PORT = 40_000;

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  let device: Device;
  beforeAll(async () => {
    scene = await Scene.set({ backend });
    device = await scene.device("alice/recorded");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const make = (form: (typeof FORMS)[number], replyWanted = false): Buffer => {
    const packet = device.packet({ replyWanted });
    return form === "raw" ? packet : device.stun(packet);
  };

  /** Sends a packet that opens, then closes again: what is left is a packet that was used. */
  const useUp = async (family: Family, payload: Buffer): Promise<void> => {
    await scene.send(scene.client, family, payload, {
      from: { address: scene.client.at(family), port: PORT },
    });
    await scene.opens(scene.client, family);
    await scene.close(device, scene.client);
  };

  /** Sends recorded bytes from everywhere and sees that nothing opens for anybody. */
  const opensNothing = async (payload: Buffer): Promise<void> => {
    for (const family of FAMILIES) {
      for (const port of [PORT, PORT + 1]) {
        const from = { address: scene.client.at(family), port };
        await scene.send(scene.client, family, payload, { from });
      }
      const from = { address: scene.stranger.at(family), port: PORT };
      await scene.send(scene.stranger, family, payload, { from });
    }
    await sleep(150);
    expect(await scene.seenByAnyone()).toBe(false);
  };

  const freshOpens = async (): Promise<void> => {
    await scene.send(scene.client, 4, device.packet());
    await scene.opens(scene.client, 4);
    await scene.close(device, scene.client);
  };

  describe.each(FORMS)("%s form", (form) => {
    test.each(FAMILIES)("sent again over IPv%s, from its own address and from others", async (family) => {
      const payload = make(form);
      await useUp(family, payload);
      await using capture = await Capture.start(scene.server);
      await opensNothing(payload);
      const client = { mac: scene.client.mac, address: scene.client.at(family), port: PORT };
      const server = { mac: scene.server.mac, ...scene.spa(family) };
      await (await scene.stranger.agent()).frames("eth0", [udpFrame(client, server, payload)]);
      const inner = decodeStunRequest(payload)?.packet;
      await opensNothing(inner === undefined ? device.stun(payload) : Buffer.from(inner));
      expect(await capture.sentByHost(scene.client)).toEqual([]);
    });

    test("its sender is told the same again, nobody else is told anything, and nothing opens", async () => {
      const payload = make(form, true);
      const from = { address: scene.client.at(4), port: PORT };
      expect(await scene.send(scene.client, 4, payload, { from, wait: 400 })).toHaveLength(1);
      await scene.close(device, scene.client);
      expect(await scene.send(scene.client, 4, payload, { from, wait: 400 })).toHaveLength(1);
      const port = { ...from, port: PORT + 1 };
      expect(await scene.send(scene.client, 4, payload, { from: port, wait: 400 })).toEqual([]);
      const elsewhere = { ...from, address: scene.stranger.at(4) };
      expect(await scene.send(scene.stranger, 4, payload, { from: elsewhere, wait: 400 })).toEqual([]);
      expect(await scene.seenByAnyone()).toBe(false);
    });
  });

  test("while it is open, the same bytes open nothing for another and do not make it last longer", async () => {
    const payload = device.packet({ lifetime: 3 });
    const from = { address: scene.client.at(4), port: PORT };
    await scene.send(scene.client, 4, payload, { from });
    await scene.opens(scene.client, 4);
    const again = setInterval(() => void scene.send(scene.client, 4, payload, { from }), 200);
    try {
      await scene.send(scene.stranger, 4, payload);
      expect(await scene.sees(scene.stranger, 4)).toBe(false);
      await scene.shuts(scene.client, 4);
    } finally {
      clearInterval(again);
    }
    await scene.daemon.logged("replayed", { device: "alice/recorded", source: scene.stranger.at(4) });
  });

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "after a restart by %s, though fresh ones open",
    async (signal) => {
      const payloads = FORMS.map((form) => make(form));
      for (const payload of payloads) await useUp(4, payload);
      await scene.daemon.restart(signal);
      for (const payload of payloads) await opensNothing(payload);
      await freshOpens();
    },
  );

  // What a step is does not depend on the firewall, and the wait is long.
  if (backend !== "iptables") return;
  test("in the next step", async () => {
    const payload = device.packet();
    await useUp(6, payload);
    await sleep(STEP_MILLIS - (Date.now() % STEP_MILLIS) + 20);
    await opensNothing(payload);
    await freshOpens();
  });
});
