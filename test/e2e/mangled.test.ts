import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceName } from "../../shared/brand.ts";
import { STEP_MILLIS } from "../../shared/constants.ts";
import { Capture } from "../lab/capture.ts";
import type { Device } from "../lab/device.ts";
import { type Side, udpFrame } from "../lab/frame.ts";
import type { Family } from "../lab/host.ts";
import { tock } from "../lab/programs.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { sleep } from "../lab/wait.ts";

/** A packet that is not exactly right is met with silence, and does no harm to the right one that comes after it. */

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  let device: Device;

  beforeAll(async () => {
    scene = await Scene.set({ backend });
    device = await scene.device("alice/laptop");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  /** Puts datagrams on the wire as the client's, as fast as it goes. */
  const flood = async (family: Family, payloads: readonly Uint8Array[]): Promise<void> => {
    const from: Side = { mac: scene.client.mac, address: scene.client.at(family), port: 40_000 };
    const to: Side = { mac: scene.server.mac, ...scene.spa(family) };
    const frames = payloads.map((payload) => udpFrame(from, to, payload));
    await (await scene.client.agent()).frames("eth0", frames);
  };

  const opens = async (family: Family, payload: Uint8Array): Promise<boolean> => {
    await scene.send(scene.client, family, payload);
    await sleep(150);
    return scene.sees(scene.client, family);
  };

  /**
   * Over both families: of what `mangle` makes of a packet nothing opens and nothing is answered; the packet itself,
   * which must not have been used up by that, opens.
   */
  const harmless = async (
    make: () => Buffer,
    mangle: (packet: Buffer) => readonly Uint8Array[],
  ): Promise<void> => {
    await scene.close(device, scene.client);
    await using capture = await Capture.start(scene.server);
    const originals = FAMILIES.map((family) => ({ family, packet: make() }));
    await Promise.all(originals.map(({ family, packet }) => flood(family, mangle(packet))));
    await sleep(200);
    expect(await scene.seenByAnyone()).toBe(false);
    expect(await capture.sentByHost(scene.client)).toEqual([]);
    expect(await Promise.all(originals.map(({ family, packet }) => opens(family, packet)))).toEqual([
      true,
      true,
    ]);
  };

  const asking = (): Buffer => device.packet({ replyWanted: true });

  test("every single bit flipped", () => harmless(asking, flips));

  test("every single bit of the stun form flipped, up to the fingerprint that nobody looks at", async () => {
    await harmless(
      () => device.stun(asking()),
      (message) => flips(message).slice(0, -8 * 8),
    );
  });

  test("every truncation and extension", async () => {
    const resized = (whole: Buffer): Buffer[] => [
      ...Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length)),
      ...[1, 2, 3, 4, 8, 16, 64, 456, 1000].map((more) => Buffer.concat([whole, randomBytes(more)])),
    ];
    await harmless(asking, (packet) => [...resized(packet), ...resized(device.stun(packet))]);
  });

  test("a packet for another server, and those of devices that were removed or never were", async () => {
    const elsewhere = await scene.device("alice/elsewhere", randomBytes(16));
    const gone = await scene.device("alice/gone");
    await scene.daemon.must("device", "remove", "alice/gone");
    await harmless(asking, () => [
      elsewhere.packet({ replyWanted: true }),
      gone.packet({ replyWanted: true }),
      gone.stun(gone.packet({ replyWanted: true })),
    ]);
  });

  test("a time that its keys do not belong to", async () => {
    await harmless(asking, () => {
      const now = Date.now();
      return [-4, -2, 2, 4].flatMap((steps) => [
        device.packet({ replyWanted: true }, now + steps * STEP_MILLIS, now),
        device.packet({ replyWanted: true }, now, now + steps * STEP_MILLIS),
      ]);
    });
  });

  test.each([-29_000, 29_000])("a clock %i ms off is good enough", async (offset) => {
    await scene.close(device, scene.client);
    for (const family of FAMILIES) {
      expect(await opens(family, device.packet({}, Date.now() + offset))).toBe(true);
    }
  });

  test.each([-95_000, 95_000])("a clock %i ms off is not", async (offset) => {
    await harmless(asking, () => [device.packet({ replyWanted: true }, Date.now() + offset)]);
  });

  test("a service that there is not, and one that the device may not have, open nothing", async () => {
    await scene.close(device, scene.client);
    expect(await opens(4, device.packet({ service: "nothing" as ServiceName }))).toBe(false);
    await scene.daemon.logged("refused", { device: "alice/laptop", service: "nothing" });
  });

  test("the client says that its clock is off", async () => {
    await scene.daemon.enrol(scene.client, "alice/skewed");
    const env = { TOCK_TEST_CLOCK_OFFSET_MS: "-25000" };
    const output = await scene.client.run(tock("open", "server"), { env });
    expect(output, output.stderr).toMatchObject({ code: 0 });
    expect(output.stdout + output.stderr).toMatch(/clock.*2[45]/);
  });
});

/** Copies of a message, each with one bit turned over, from the first bit to the last. */
function flips(message: Buffer): Buffer[] {
  return Array.from({ length: message.length * 8 }, (_, bit) => {
    const copy = Buffer.from(message);
    copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (0x80 >> (bit & 7)), bit >> 3);
    return copy;
  });
}
