import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEP_MILLIS } from "../../shared/constants.ts";
import type { Device } from "../lab/device.ts";
import { Knocker } from "../lab/knocker.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { eventually } from "../lab/wait.ts";

/** The kernel engine: knocks that rules alone follow. The daemon sees no packet. */

const FIRST = 20_000;
const LAST = 21_023;

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  let knocker: Knocker;
  const devices: Device[] = [];
  const used = new Set<string>();

  beforeAll(async () => {
    scene = await Scene.set({
      backend,
      services: { ssh: { ports: ["tcp/22"], ttl: "3s" }, web: { ports: ["tcp/80"], ttl: "1m" } },
      users: {
        alice: { knock: true, services: ["ssh"] },
        bob: { knock: true, networks: ["192.0.2.128/25", "2001:db8::1:128"] },
        carol: { knock: true, connections: 1 },
        dave: { knock: false },
      },
      tables: { server: { engine: "kernel" }, knock: { ports: `${FIRST}-${LAST}`, length: 6 } },
    });
    knocker = await Knocker.on(scene.client, scene.server, 100);
    for (let count = 0; count < 8; count++) devices.push(await scene.device(`alice/k${count}`));
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  /** A sequence that is valid now and was not used yet. */
  const fresh = (): number[] => {
    for (const moment of [Date.now(), Date.now() + STEP_MILLIS]) {
      for (const device of devices) {
        const ports = device.sequence(moment);
        if (used.has(ports.join())) continue;
        used.add(ports.join());
        return ports;
      }
    }
    throw new Error("no sequence left");
  };

  describe.each(FAMILIES)("over IPv%s", (family) => {
    test("the right order opens, for the source alone and for its time", async () => {
      const [source, other] = [knocker.next(family), knocker.next(family)];
      expect(await knocker.sees(source)).toBe(false);
      await knocker.knock(source, fresh());
      expect(await knocker.sees(source)).toBe(true);
      expect(await knocker.sees(other)).toBe(false);
      expect(await knocker.sees(source, 80)).toBe(false);
      await scene.daemon.logged("granted", { source, via: "knock", service: "ssh" });
      const opened = performance.now();
      await eventually("it shuts", async () => !(await knocker.sees(source)));
      expect(performance.now() - opened).toBeGreaterThan(1_500);
    });

    test("a sequence works once: not again, for nobody else, and not over the other family", async () => {
      const [source, other] = [knocker.next(family), knocker.next(family)];
      const sixth = knocker.next(family === 4 ? 6 : 4);
      const ports = fresh();
      await knocker.knock(source, ports);
      await scene.daemon.logged("granted", { source });
      for (const again of [other, sixth]) {
        await knocker.knock(again, ports);
        expect(await knocker.sees(again), again).toBe(false);
      }
      await eventually("it shuts", async () => !(await knocker.sees(source)));
      await knocker.knock(source, ports);
      expect(await knocker.sees(source)).toBe(false);
    });

    const opensNot: Readonly<Record<string, (ports: number[]) => number[]>> = {
      "a prefix": (ports) => ports.slice(0, -1),
      "all but the first": (ports) => ports.slice(1),
      "the reverse order": (ports) => ports.toReversed(),
      "two ports swapped": (ports) => [
        ...ports.slice(0, 2),
        ...ports.slice(2, 4).toReversed(),
        ...ports.slice(4),
      ],
      "one port missed": (ports) => ports.toSpliced(3, 1),
      "a stray before the last": (ports) => ports.toSpliced(-1, 0, ports[0] ?? 0),
      "a stray after the first": (ports) => ports.toSpliced(1, 0, ports.at(-1) ?? 0),
      "one port off by one": (ports) => [...ports.slice(0, -1), (ports.at(-1) ?? 0) - 1],
    };
    test("wrong walks open nothing, and the right one after them does", async () => {
      const ports = fresh();
      const sources: string[] = [];
      for (const [name, change] of Object.entries(opensNot)) {
        const source = knocker.next(family);
        await knocker.knock(source, change(ports));
        expect(await knocker.sees(source), name).toBe(false);
        sources.push(source);
      }
      const last = sources.at(-1) ?? "";
      await knocker.knock(last, ports);
      expect(await knocker.sees(last)).toBe(true);
    });

    test("a SYN sent again is no wrong port", async () => {
      const source = knocker.next(family);
      await knocker.knock(
        source,
        fresh().flatMap((port) => [port, port]),
      );
      expect(await knocker.sees(source)).toBe(true);
    });

    test("halves from two sources open nothing, two sources at once each for itself", async () => {
      const [one, two] = [knocker.next(family), knocker.next(family)];
      const split = fresh();
      await knocker.knock(one, split.slice(0, 2));
      await knocker.knock(two, split.slice(2));
      expect([await knocker.sees(one), await knocker.sees(two)]).toEqual([false, false]);
      const [mine, theirs] = [fresh(), fresh()];
      for (const [index, port] of mine.entries()) {
        await knocker.knock(one, [port]);
        await knocker.knock(two, [theirs[index] ?? 0]);
      }
      expect([await knocker.sees(one), await knocker.sees(two)]).toEqual([true, true]);
    });

    test("all ports up and down three times over open nothing", async () => {
      const source = knocker.next(family);
      const up = Array.from({ length: LAST - FIRST + 1 }, (_, index) => FIRST + index);
      for (const ports of [up, up.toReversed()]) {
        for (let round = 0; round < 3; round++) await knocker.knock(source, ports, 0);
        expect(await knocker.sees(source)).toBe(false);
      }
    });

    test("steps outside the window open nothing, those inside do", async () => {
      const device = await scene.device(`alice/steps${family}`);
      const now = Date.now();
      for (const steps of [-3, -2, 3, 4]) {
        const source = knocker.next(family);
        await knocker.knock(source, device.sequence(now + steps * STEP_MILLIS));
        expect(await knocker.sees(source), `${steps} steps off`).toBe(false);
      }
      for (const steps of [0, 1]) {
        const source = knocker.next(family);
        await knocker.knock(source, device.sequence(now + steps * STEP_MILLIS));
        expect(await knocker.sees(source), `${steps} steps off`).toBe(true);
      }
    });
  });

  test("a user's networks are kept, and every service of the user opens", async () => {
    const device = await scene.device("bob/phone");
    const outside = knocker.next(4);
    await knocker.knock(outside, device.sequence());
    expect(await knocker.sees(outside)).toBe(false);
    await knocker.knock("192.0.2.140", device.sequence());
    expect([await knocker.sees("192.0.2.140", 22), await knocker.sees("192.0.2.140", 80)]).toEqual([
      true,
      false,
    ]);
    const sixth = knocker.next(6);
    const next = device.sequence(Date.now() + STEP_MILLIS);
    await knocker.knock(sixth, next);
    expect(await knocker.sees(sixth)).toBe(false);
    await knocker.knock("2001:db8::1:128", next);
    expect(await knocker.sees("2001:db8::1:128")).toBe(true);
  });

  test("who cannot be let in by rules is left out, with the reason", async () => {
    const device = await scene.device("carol/phone");
    const source = knocker.next(4);
    await knocker.knock(source, device.sequence());
    expect(await knocker.sees(source)).toBe(false);
    await scene.daemon.logged("knocks not followed", { device: "carol/phone", rule: "connections" });
  });

  test("a removed device's sequences open nothing, and its open door shuts", async () => {
    const device: Device = await scene.device("alice/lost");
    const [first, second] = [knocker.next(4), knocker.next(4)];
    await knocker.knock(first, device.sequence());
    expect(await knocker.sees(first)).toBe(true);
    await scene.daemon.logged("granted", { source: first });
    await scene.daemon.must("device", "remove", "alice/lost");
    expect(await knocker.sees(first)).toBe(false);
    await knocker.knock(second, device.sequence(Date.now() + STEP_MILLIS));
    expect(await knocker.sees(second)).toBe(false);
  });

  test("the log holds no sequence", async () => {
    const device = await scene.device("alice/quiet");
    const source = knocker.next(4);
    await knocker.knock(source, device.sequence());
    await scene.daemon.logged("granted", { source });
    const { stdout, stderr } = scene.daemon.process;
    expect(stdout + stderr).not.toMatch(new RegExp(`\\b(${device.sequence().join("|")})\\b`));
  });
});
