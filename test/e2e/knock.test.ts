import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEP_MILLIS } from "../../shared/constants.ts";
import { Capture } from "../lab/capture.ts";
import type { Device } from "../lab/device.ts";
import { type Side, tcpFrame, udpFrame } from "../lab/frame.ts";
import type { Family, Host } from "../lab/host.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { sleep } from "../lab/wait.ts";

/** Knock sequences: what opens, what does not, and that each works once. */

const FIRST = 20_000;
const LAST = 30_199;
const SYN = 2;

/** Turns the ports of a sequence into the ports that are knocked. */
type Variation = (ports: readonly number[]) => readonly number[];

const opens: Readonly<Record<string, Variation>> = {
  "the right order": (ports) => ports,
  "four strays in between": ([a = 0, b = 0, c = 0, d = 0]) => {
    const [s = 0, t = 0, u = 0, v = 0] = strays([a, b, c, d], 4);
    return [a, s, b, t, u, c, v, d];
  },
  "four strays before": (ports) => [...strays(ports, 4), ...ports],
  "each SYN sent three times": (ports) => ports.flatMap((port) => [port, port, port]),
  "a false start": ([a = 0, b = 0, c = 0, d = 0]) => [a, b, a, b, c, d],
};

const opensNothing: Readonly<Record<string, Variation>> = {
  "a prefix": (ports) => ports.slice(0, 3),
  "the last three": (ports) => ports.slice(1),
  "the reverse order": (ports) => ports.toReversed(),
  "two ports swapped": ([a = 0, b = 0, c = 0, d = 0]) => [a, c, b, d],
  "five strays in between": ([a = 0, b = 0, c = 0, d = 0]) => {
    const [s = 0, t = 0, u = 0, v = 0, w = 0] = strays([a, b, c, d], 5);
    return [a, s, b, t, u, c, v, w, d];
  },
  "one port missed": ([a = 0, b = 0, , d = 0]) => [a, b, d],
  "one port off by one": ([a = 0, b = 0, c = 0, d = 0]) => [a, b, c, d === FIRST ? d + 1 : d - 1],
};

/** Ports of the range that are not in the sequence. */
function strays(ports: readonly number[], count: number): number[] {
  const others = Array.from({ length: 100 }, (_, index) => FIRST + index * 7).filter(
    (port) => !ports.includes(port),
  );
  return others.slice(0, count);
}

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  let closer: Device;
  let idle: Device;
  let devices = 0;

  beforeAll(async () => {
    scene = await Scene.set({
      backend,
      users: { alice: { knock: true }, carol: { knock: false } },
      tables: { knock: { ports: `${FIRST}-${LAST}`, transport: "both" } },
    });
    closer = await scene.device("alice/closer");
    idle = await scene.device("alice/idle");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const newDevice = (): Promise<Device> => scene.device(`alice/knock-${++devices}`);

  /** A sequence that works now, another one for each family: this step's, and the next one's within the window. */
  const sequenceFor = (device: Device, family: Family): number[] =>
    device.sequence(Date.now() + (family === 4 ? 0 : STEP_MILLIS));

  const side = (host: Host, family: Family, port: number): Side => ({
    mac: host.mac,
    address: host.at(family),
    port,
  });

  const knockFrame = (
    host: Host,
    family: Family,
    port: number,
    how: "tcp" | "udp",
    from = 30_000,
  ): Buffer => {
    const to = side(scene.server, family, port);
    const ours = side(host, family, from);
    return how === "tcp" ? tcpFrame(ours, to, SYN) : udpFrame(ours, to, Buffer.from("knock"));
  };

  const knock = async (host: Host, family: Family, ports: readonly number[], how: "tcp" | "udp" = "tcp") => {
    const frames = ports.map((port, index) => knockFrame(host, family, port, how, 30_000 + index));
    await (await host.agent()).frames("eth0", frames, frames.length > 100 ? 0 : 2);
  };

  /** Pushes what was knocked before out of memory: the last eight knocks count. */
  const forget = (host: Host, family: Family): Promise<void> =>
    knock(
      host,
      family,
      Array.from({ length: 8 }, (_, index) => LAST - 2 * index),
    );

  const opened = async (host: Host, family: Family): Promise<boolean> => {
    await sleep(150);
    return scene.sees(host, family);
  };

  /** The families at once: their sources are different ones. */
  const eachFamily = async (body: (family: Family) => Promise<void>): Promise<void> => {
    await Promise.all(FAMILIES.map(body));
  };

  test.each(Object.keys(opens))("%s: opens", async (name) => {
    const device = await newDevice();
    await eachFamily(async (family) => {
      await forget(scene.client, family);
      await knock(scene.client, family, opens[name]?.(sequenceFor(device, family)) ?? []);
      expect(await opened(scene.client, family), `IPv${family}`).toBe(true);
      expect(await scene.sees(scene.stranger, family)).toBe(false);
    });
    await scene.close(closer, scene.client);
  });

  test.each(Object.keys(opensNothing))("%s: opens nothing", async (name) => {
    await eachFamily(async (family) => {
      await forget(scene.client, family);
      await knock(scene.client, family, opensNothing[name]?.(sequenceFor(idle, family)) ?? []);
      expect(await opened(scene.client, family), `IPv${family}`).toBe(false);
    });
  });

  test("udp knocks out of order open nothing, and sent again in order they open", async () => {
    const device = await newDevice();
    await eachFamily(async (family) => {
      const [a = 0, b = 0, c = 0, d = 0] = sequenceFor(device, family);
      await forget(scene.client, family);
      await knock(scene.client, family, [a, b, d, c], "udp");
      expect(await opened(scene.client, family)).toBe(false);
      await knock(scene.client, family, [a, b, c, d], "udp");
      expect(await opened(scene.client, family)).toBe(true);
    });
    await scene.close(closer, scene.client);
  });

  test("half a sequence from each of two sources opens nothing", async () => {
    const halves = [scene.client, scene.client, scene.stranger, scene.stranger];
    await eachFamily(async (family) => {
      const ports = sequenceFor(idle, family);
      for (const host of [scene.client, scene.stranger]) await forget(host, family);
      for (const [index, host] of halves.entries()) await knock(host, family, ports.slice(index, index + 1));
      expect(await opened(scene.client, family)).toBe(false);
      expect(await scene.sees(scene.stranger, family)).toBe(false);
    });
  });

  test("two sources interleaved open each for itself", async () => {
    const [mine, theirs] = [await newDevice(), await newDevice()];
    await eachFamily(async (family) => {
      const pairs = sequenceFor(mine, family).map((port, index) => [
        port,
        sequenceFor(theirs, family)[index] ?? 0,
      ]);
      for (const [port = 0, other = 0] of pairs) {
        await knock(scene.client, family, [port]);
        await knock(scene.stranger, family, [other]);
      }
      expect(await opened(scene.client, family)).toBe(true);
      expect(await opened(scene.stranger, family)).toBe(true);
    });
    await scene.close(closer, scene.client, scene.stranger);
  });

  test("all ports ascending and descending, by both protocols, open nothing and are not answered", async () => {
    const ascending = Array.from({ length: LAST - FIRST + 1 }, (_, index) => FIRST + index);
    // Of 80,000 frames only the server's own, so that none is lost; and no late word of a connection that was opened before.
    const answers = `ether src ${scene.server.mac} and not tcp src port 22`;
    await using capture = await Capture.start(scene.server, answers);
    await eachFamily(async (family) => {
      for (const ports of [ascending, ascending.toReversed()]) {
        await knock(scene.stranger, family, ports, "tcp");
        await knock(scene.stranger, family, ports, "udp");
      }
    });
    expect(await capture.sentByHost(scene.stranger)).toEqual([]);
    await eachFamily(async (family) => expect(await opened(scene.stranger, family)).toBe(false));
  });

  test("a sequence works once, and after that for nobody", async () => {
    const device = await newDevice();
    const now = Date.now();
    const used = (family: Family): number[] => device.sequence(now + (family === 4 ? 0 : STEP_MILLIS));
    await eachFamily(async (family) => {
      await knock(scene.client, family, used(family));
      expect(await opened(scene.client, family)).toBe(true);
    });
    await scene.close(closer, scene.client);
    await eachFamily(async (family) => {
      for (const host of [scene.client, scene.stranger]) {
        await forget(host, family);
        await knock(host, family, used(family));
        expect(await opened(host, family)).toBe(false);
      }
    });
    await scene.daemon.logged("refused", { device: device.enrolment.device, rule: "knock-used" });
  });

  test("the last step's sequence opens, those outside the window do not", async () => {
    const device = await newDevice();
    const left = STEP_MILLIS - (Date.now() % STEP_MILLIS);
    if (left < 5_000) await sleep(left + 50);
    for (const steps of [-3, -2, 2, 3]) {
      await knock(scene.client, 4, device.sequence(Date.now() + steps * STEP_MILLIS));
      expect(await opened(scene.client, 4), `${steps} steps off`).toBe(false);
    }
    await knock(scene.client, 4, device.sequence(Date.now() - STEP_MILLIS));
    expect(await opened(scene.client, 4)).toBe(true);
    await scene.close(closer, scene.client);
  });

  test("who may not knock is told of no sequence", async () => {
    expect((await scene.device("carol/phone")).enrolment.knock).toBeUndefined();
  });

  test.each(["tcp", "udp"])("tock knock opens by %s", async (transport) => {
    const host = transport === "tcp" ? scene.client : scene.stranger;
    await scene.daemon.enrol(host, `alice/${transport}`);
    const output = await scene.tock(host, "knock", "server", "--transport", transport);
    expect(output.code, output.stderr).toBe(3);
    await scene.opens(host, 4);
  });

  test("the lines of tock sequence --nmap open as they stand, with no resolver to ask", async () => {
    const host = await scene.lab.host("nmap");
    await scene.daemon.enrol(host, "alice/nmap");
    const left = STEP_MILLIS - (Date.now() % STEP_MILLIS);
    if (left < 5_000) await sleep(left + 50);
    const { stdout } = await scene.tock(host, "sequence", "server", "--nmap");
    await host.run(["sh", "-c", stdout], { timeout: 60_000 });
    await scene.opens(host, 4);
  });
});
