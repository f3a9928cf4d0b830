import { readdirSync, readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { STEP_MILLIS } from "../../shared/constants.ts";
import { BadMachine } from "../lab/bad-machine.ts";
import { Device } from "../lab/device.ts";
import { must } from "../lab/exec.ts";
import { tockd } from "../lab/programs.ts";
import { Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { eventually } from "../lab/wait.ts";

/**
 * A machine that goes wrong under the running daemon: its disk, its netlink sockets, its clock, its memory. What is told to
 * be open is open, nothing else is, nothing that was used opens again, and all is well once the machine is.
 */

let scene: Scene;
let machine: BadMachine;
let device: Device;
/** What was answered, and so is used up. */
let used: Buffer[] = [];

/** Grants end by themselves within moments. Without skew a step is over soon. */
async function set(backend: (typeof BACKENDS)[number]): Promise<void> {
  scene = await Scene.set({
    backend,
    services: { ssh: { ports: ["tcp/22"], ttl: "2s" } },
    tables: { clock: { past: 0, future: 0 } },
    env: async (host) => {
      machine = await BadMachine.create(host);
      return machine.env;
    },
  });
  device = await scene.device("alice/laptop");
  used = [];
}

/** What a new packet comes to: the answer's word, or undefined for none. */
async function ask(wait = 400): Promise<string | undefined> {
  const at = machine.now;
  const packet = device.packet({ replyWanted: true }, at);
  const agent = await scene.client.agent();
  const [reply] = await agent.udp(scene.spa(4), packet, { wait, enough: 1 });
  if (reply === undefined) return undefined;
  used.push(packet);
  return device.answer(packet, reply, at)?.result;
}

/** A client asks again. What is called open is. */
async function opens(within = 15_000): Promise<void> {
  const answered = async (): Promise<boolean> => (await ask()) === "opened";
  await eventually("it opens again", answered, { within });
  expect(await scene.sees(scene.client, 4, 22, 1_000)).toBe(true);
  await scene.shuts(scene.client, 4);
}

async function replaysOpenNothing(): Promise<void> {
  for (const packet of used) {
    await scene.send(scene.stranger, 4, packet);
    await scene.send(scene.client, 4, packet);
  }
  await scene.send(scene.client, 4, device.packet({ type: "ping", service: undefined }, machine.now), {
    wait: 100,
  });
  expect(await scene.seenByAnyone()).toBe(false);
}

/** The clock is so that the next step begins within a moment, as everything in doubt ends with its step. */
function nearTheNextStep(ahead = 0): void {
  const rest = STEP_MILLIS - ((Date.now() + ahead) % STEP_MILLIS);
  machine.ahead = ahead + rest - 2_500;
}

describe.each(BACKENDS)("netlink, %s", (backend) => {
  beforeAll(() => set(backend));
  afterAll(() => scene[Symbol.asyncDispose]());

  test.each([
    ["refuses all", { send: "EPERM" }],
    ["has no room to answer", { recv: "ENOBUFS" }],
    ["has no room to be asked", { send: "ENOBUFS" }],
  ] as const)("%s: nothing is called open, it says so, and it opens again", async (_, fault) => {
    await opens();
    machine.break(fault);
    expect(await ask()).toBe("firewall-error");
    expect(machine.mend()).toBeGreaterThan(0);
    // What the kernel did without being able to say so is no more than what an authentic packet asked for.
    await scene.shuts(scene.client, 4);
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    await scene.daemon.logged("firewall-error");
    await opens();
    await replaysOpenNothing();
  });
});

describe("the disk", () => {
  beforeAll(() => set("nftables"));
  afterAll(() => scene[Symbol.asyncDispose]());
  afterEach(() => void machine.mend());

  test.each(["EIO", "ENOSPC", "torn"] as const)(
    "that fails a write (%s): nothing opens, and later it does",
    async (write) => {
      await opens();
      machine.break({ write });
      expect(await ask()).not.toBe("opened");
      expect(await scene.seenByAnyone()).toBe(false);
      const { code, stderr } = await scene.daemon.command("device", "add", "alice/late", "--link");
      expect([code, stderr.includes("\n    at ")]).toEqual([1, false]);
      expect(machine.mend()).toBeGreaterThan(1);
      await opens();
      await replaysOpenNothing();
      expect(await scene.daemon.must("device", "list")).not.toContain("alice/late");
    },
  );

  test("that writes by halves is written to until all is there", async () => {
    machine.break({ write: "short" });
    await opens();
    expect(machine.mend()).toBeGreaterThan(0);
    await scene.daemon.restart("SIGKILL");
    await replaysOpenNothing();
    await opens();
    await scene.daemon.must("events", "--verify");
  });

  test("that tears a write just before a kill: what was used opens nothing, and it is back by itself", async () => {
    nearTheNextStep();
    await eventually("it opens", async () => (await ask()) === "opened");
    machine.break({ write: "torn", times: 1 });
    expect(await ask()).not.toBe("opened");
    await scene.daemon.stop("SIGKILL");
    machine.mend();
    nearTheNextStep();
    await scene.daemon.start();
    await scene.shuts(scene.client, 4);
    await replaysOpenNothing();
    await opens(STEP_MILLIS);
  });

  test("that cannot sync: no command calls a thing done that may be lost", async () => {
    machine.break({ sync: "EIO" });
    const { code, stderr } = await scene.daemon.command("device", "add", "alice/unsure", "--link");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^tock: error: /);
    expect(machine.mend()).toBeGreaterThan(0);
    await opens();
    await scene.daemon.must("device", "add", "alice/sure", "--link");
    const list = await scene.daemon.must("device", "list");
    expect([list.includes("alice/unsure"), list.includes("alice/sure")]).toEqual([false, true]);
  });

  test("that lost its power a moment after uses has them, also when the clock starts far behind", async () => {
    await opens();
    const [last] = used.slice(-1);
    const step = Math.floor(machine.now / STEP_MILLIS);
    expect(last).toBeDefined();
    await scene.daemon.stop("SIGKILL");
    expect(machine.losePower()).not.toContain("journal");
    await scene.server.must(["nft", "flush", "ruleset"]);
    // Nobody puts it right: it comes to the same steps by itself.
    machine.ahead += (step - 1) * STEP_MILLIS - machine.now + STEP_MILLIS - 3_000;
    await scene.daemon.start();
    const isBack = (): boolean => Math.floor(machine.now / STEP_MILLIS) === step;
    await eventually("the step is there again", () => Promise.resolve(isBack()));
    await replaysOpenNothing();
  });

  test("that lost what was not synced when the power went: what was confirmed is there, what was used opens nothing", async () => {
    nearTheNextStep(machine.ahead);
    await opens();
    const phone = new Device(await scene.daemon.addDevice("alice/phone", "--static"));
    await scene.daemon.must("device", "remove", "alice/sure");
    await eventually("it opens", async () => (await ask()) === "opened");
    // Disks that cannot sync lose what they were given last.
    machine.break({ sync: "EIO" });
    nearTheNextStep(machine.ahead);
    await eventually("it opens", async () => (await ask()) === "opened");
    await scene.daemon.stop("SIGKILL");
    machine.mend();
    expect(machine.losePower()).toContain("journal");
    // The kernel of after the restart has no rules.
    await scene.server.must(["nft", "flush", "ruleset"]);
    nearTheNextStep(machine.ahead);
    await scene.daemon.start();
    await replaysOpenNothing();
    const list = await scene.daemon.must("device", "list");
    expect([list.includes("alice/phone"), list.includes("alice/sure")]).toEqual([true, false]);
    device = phone;
    await opens(STEP_MILLIS);
    await replaysOpenNothing();
    expect(await scene.daemon.must("guard", "status")).toBe("guard: on\n");
  });
});

describe("the machine", () => {
  beforeAll(() => set("iptables"));
  afterAll(() => scene[Symbol.asyncDispose]());

  test.each([
    ["ahead", 3_600_000],
    ["back", -3_600_000],
  ])(
    "whose clock is set an hour %s, and right again: grants end on time, nothing opens twice",
    async (_, ahead) => {
      nearTheNextStep();
      await eventually("it opens", async () => (await ask()) === "opened");
      const right = machine.ahead;
      machine.ahead = right + ahead;
      const start = performance.now();
      await scene.shuts(scene.client, 4);
      expect(performance.now() - start).toBeLessThan(10_000);
      // A client whose clock is right is too late or too early now.
      const stale = device.packet({ replyWanted: true }, Date.now() + right);
      expect(await scene.send(scene.client, 4, stale, { wait: 300 })).toEqual([]);
      await replaysOpenNothing();
      nearTheNextStep();
      await replaysOpenNothing();
      await opens(2 * STEP_MILLIS);
      await replaysOpenNothing();
    },
  );

  test("that has no more descriptors: packets open all the same, and commands are served once it has", async () => {
    const { pid } = scene.daemon.process;
    const count = readdirSync(`/proc/${pid}/fd`).length;
    const limit = (most: number): Promise<string> =>
      must(["prlimit", "--pid", `${pid}`, `--nofile=${most}:`]);
    const before = Number(/^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))?.[1]);
    await limit(count - 2);
    await opens();
    const cut = await scene.server.run(["timeout", "3", ...commandOf("status")]);
    expect(cut.code).not.toBe(0);
    await opens();
    await limit(before);
    await eventually(
      "commands are served",
      async () => (await scene.daemon.command("grants", "--json")).code === 0,
    );
    await replaysOpenNothing();
  });

  test("that has no more memory: whether the daemon goes on or dies, nothing is open, and the next one is as ever", async () => {
    await opens();
    const { process } = scene.daemon;
    const size = Number(
      /^VmSize:\s+(\d+) kB/m.exec(readFileSync(`/proc/${process.pid}/status`, "utf8"))?.[1],
    );
    await must(["prlimit", "--pid", `${process.pid}`, `--as=${(size - 200_000) * 1024}`]);
    for (let time = 0; time < 5 && process.running; time++) {
      await scene.server.run(["timeout", "2", ...commandOf("metrics")]);
      await ask(50);
    }
    await scene.shuts(scene.client, 4);
    await replaysOpenNothing();
    if (process.running) await scene.daemon.stop("SIGKILL");
    await scene.daemon.start();
    await replaysOpenNothing();
    await opens();
  });
});

/** A command of tockd on a machine whose clock and disk are all right. */
function commandOf(name: string): readonly [string, ...string[]] {
  return tockd(name, "--config", scene.daemon.config);
}
