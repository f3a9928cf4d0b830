import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { STEP_MILLIS } from "../../shared/constants.ts";
import type { Device } from "../lab/device.ts";
import { Knocker } from "../lab/knocker.ts";
import { Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { eventually, sleep } from "../lab/wait.ts";

/** The kernel engine when its daemon dies, and when somebody flushes the rules. */

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  let knocker: Knocker;
  const devices: Device[] = [];

  beforeAll(async () => {
    scene = await Scene.set({
      backend,
      services: { ssh: { ports: ["tcp/22"], ttl: "3s" } },
      users: { alice: { knock: true } },
      tables: { server: { engine: "kernel" }, clock: { past: 0, future: 0 } },
    });
    knocker = await Knocker.on(scene.client, scene.server, 40);
    for (let count = 0; count < 4; count++) devices.push(await scene.device(`alice/k${count}`));
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const opens = async (device: Device | undefined, at = Date.now()): Promise<boolean> => {
    const source = knocker.next(4);
    await knocker.knock(source, device?.sequence(at) ?? []);
    return knocker.sees(source);
  };

  /** Waits for a moment that is not near the edge of a step. */
  const midStep = async (): Promise<void> => {
    const into = Date.now() % STEP_MILLIS;
    if (into < 2_000) await sleep(2_000 - into);
    else if (into > STEP_MILLIS - 12_000) await sleep(STEP_MILLIS - into + 2_000);
  };

  test("a sequence that was used before a crash or during it stays used, and is in the log", async () => {
    await midStep();
    const [before, during, fresh] = devices;
    const now = Date.now();
    expect(await opens(before, now)).toBe(true);
    await scene.daemon.stop("SIGKILL");
    expect(await opens(during, now)).toBe(true);
    await scene.daemon.start();
    await scene.daemon.logged("granted", { device: "alice/k1" });
    expect(await opens(before, now)).toBe(false);
    expect(await opens(during, now)).toBe(false);
    expect(await opens(fresh)).toBe(true);
  });

  test("rules that somebody flushed come back, and what was used stays used", async () => {
    await midStep();
    const [, , , device] = devices;
    const late = await scene.device("alice/late");
    const now = Date.now();
    expect(await opens(device, now)).toBe(true);
    await scene.daemon.logged("granted", { device: "alice/k3" });
    for (const program of ["iptables", "ip6tables"]) await scene.server.run([program, "-t", "mangle", "-F"]);
    await scene.server.run(["nft", "flush", "ruleset"]);
    await eventually("the guard is back", async () => !(await scene.seenByAnyone()));
    await eventually("a knock opens again", () => opens(late, Date.now()), { every: 1_000 });
    expect(await opens(device, now)).toBe(false);
  });

  test("killed, everything is shut when the window has passed; started again, it works", async () => {
    await midStep();
    const [device] = devices;
    const killed = Date.now();
    await scene.daemon.stop("SIGKILL");
    await sleep(STEP_MILLIS - (killed % STEP_MILLIS) + 1_100);
    for (const steps of [0, 1, 2]) expect(await opens(device, killed + steps * STEP_MILLIS)).toBe(false);
    expect(await scene.seenByAnyone()).toBe(false);
    await scene.daemon.start();
    expect(await opens(device)).toBe(true);
  });

  test("guard off takes everything out, guard on brings it back", async () => {
    await scene.daemon.must("guard", "off");
    const rules = await scene.server.must(["sh", "-c", "nft list ruleset; iptables-save; ip6tables-save"]);
    expect(rules.toLowerCase()).not.toContain("tock");
    expect(rules).not.toContain("knock-");
    expect(await scene.sees(scene.client, 4)).toBe(true);
    await scene.daemon.must("guard", "on");
    const device = await scene.device("alice/after");
    await eventually("a knock opens", () => opens(device), { every: 1_000 });
  });

  test("the packets engine takes the walks out", async () => {
    await scene.daemon.stop();
    await scene.daemon.configure({ backend, users: { alice: { knock: true } } });
    await scene.daemon.start();
    expect(await scene.daemon.must("guard", "status")).toContain("on");
    const rules = await scene.server.must(["sh", "-c", "nft list ruleset; iptables-save; ip6tables-save"]);
    expect(rules).not.toMatch(/TOCKNOCK|knock-/);
  });
});
