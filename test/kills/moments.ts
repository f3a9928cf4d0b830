import { readFileSync, writeFileSync } from "node:fs";
import { Device } from "../lab/device.ts";
import type { Output } from "../lab/exec.ts";
import { sleep } from "../lab/wait.ts";
import { check, type World } from "./world.ts";

/** What goes on when the daemon is killed, beside packets that come all the time. */
export const MOMENTS = [
  "start",
  "load",
  "reload",
  "hangups",
  "device",
  "rotate",
  "guard off",
  "guard on",
  "guard confirm",
] as const;
export type Moment = (typeof MOMENTS)[number];

/** How long it takes, in ms, until it is over: the kill comes at any instant of that. Learned from what was seen. */
const lengths = new Map<Moment, number>();
const MOST_DEVICES = 12;

function learn(moment: Moment, took: number): void {
  lengths.set(moment, 0.7 * (lengths.get(moment) ?? took) + 0.3 * took);
}

/** Any instant from now to a little after it is usually over. */
async function someTime(moment: Moment, otherwise: number): Promise<void> {
  await sleep(Math.random() * 1.15 * (lengths.get(moment) ?? otherwise));
}

/** Kills one daemon that starts, or one that runs and has been looked at. The load goes on throughout. */
export async function killAt(world: World, moment: Moment): Promise<void> {
  const { daemon } = world.scene;
  const over = new AbortController();
  let opened: () => void = () => undefined;
  const first = new Promise<void>((resolve) => (opened = resolve));
  if (moment !== "start") learn("start", await world.start());
  const loading = world.load(over.signal, moment === "start" ? 1 : 3, () => opened());
  loading.catch(() => undefined);
  try {
    if (moment === "start") {
      daemon.launch();
      await someTime("start", 1_500);
      await daemon.stop("SIGKILL");
    } else {
      const junk = world.junk();
      await Promise.race([first, sleep(20_000)]);
      await ACTS[moment](world, async () => {
        await daemon.stop("SIGKILL");
      });
      await junk;
    }
  } finally {
    over.abort();
    await loading;
  }
  await world.lookWhileDead();
}

type Act = (world: World, kill: () => Promise<void>) => Promise<void>;

const ACTS: Readonly<Record<Exclude<Moment, "start">, Act>> = {
  load: async (_, kill) => {
    await sleep(Math.random() * 120);
    await kill();
  },

  reload: async (world, kill) => {
    changeConfiguration(world);
    world.scene.daemon.process.signal("SIGHUP");
    await sleep(Math.random() * 60);
    await kill();
  },

  hangups: async (world, kill) => {
    for (let count = 5 + Math.random() * 20; count > 0; count--) {
      if (Math.random() < 0.3) changeConfiguration(world);
      world.scene.daemon.process.signal("SIGHUP");
      await sleep(Math.random() * 8);
    }
    await kill();
  },

  device: async (world, kill) => {
    const devices = devicesOf(world);
    const id = `alice/d${Math.floor(Math.random() * MOST_DEVICES)}`;
    const known = devices.get(id);
    const isThere = known === undefined ? false : known !== "unknown";
    const args = isThere || known === "unknown" ? ["remove", id] : ["add", id, "--link", "--static"];
    devices.set(id, "unknown");
    const { code, stdout } = await during(world, "device", ["device", ...args], kill);
    if (code !== 0) return;
    const link = /tock:\/\/enroll\/1#\S+/.exec(stdout)?.[0];
    const device = link === undefined ? undefined : new Device(link);
    if (device === undefined) devices.delete(id);
    else devices.set(id, device);
    world.afterwards.push(async () => {
      if (device === undefined) {
        if (known !== undefined && known !== "unknown")
          check(!(await world.pings(known)), `${id} was removed, and is there`);
      } else check(await world.pings(device), `${id} was added, and is not there`);
    });
  },

  rotate: async (world, kill) => {
    const { scene } = world;
    const start = performance.now();
    const rotating = scene.tock(scene.client, "rotate", "server");
    await someTime("rotate", 900);
    await kill();
    if ((await rotating).code === 0) learn("rotate", performance.now() - start);
    world.afterwards.push(async () => {
      // A machine that is busy may answer late; whoever is locked out is so for good.
      let ping = await scene.tock(scene.client, "ping", "server");
      for (let tries = 0; ping.code !== 0 && tries < 3; tries++) {
        await world.answers();
        ping = await scene.tock(scene.client, "ping", "server");
      }
      check(ping.code === 0, `locked out by a rotation that was cut short: ${ping.stderr}`);
    });
  },

  "guard off": async (world, kill) => {
    world.guard = undefined;
    const { code } = await during(world, "guard off", ["guard", "off"], kill);
    if (code === 0) world.guard = "off";
  },

  "guard on": async (world, kill) => {
    world.guard = undefined;
    await world.scene.daemon.must("guard", "off");
    const { code } = await during(world, "guard on", ["guard", "on"], kill);
    // Nothing is open: whoever was let in while it was off was not let in by Tock.
    if (code === 0) await world.guardIsBack();
  },

  "guard confirm": async (world, kill) => {
    world.guard = undefined;
    const { daemon } = world.scene;
    await daemon.must("guard", "off");
    await daemon.must("guard", "on", "--confirm", "60s", "--unchecked");
    const { code } = await during(world, "guard confirm", ["guard", "confirm", "--force"], kill);
    if (code !== 0) return;
    await world.guardIsBack();
    world.afterwards.push(async () => {
      const { guardTrial } = JSON.parse((await daemon.command("status", "--json")).stdout) as {
        guardTrial: unknown;
      };
      check(guardTrial === null, "the guard was confirmed, and is on trial");
    });
  },
};

/** Runs a command of tockd and kills the daemon at some instant of that. */
async function during(
  world: World,
  moment: Moment,
  args: readonly string[],
  kill: () => Promise<void>,
): Promise<Output> {
  const start = performance.now();
  const command = world.scene.daemon.command(...args).then((output) => {
    if (output.code === 0) learn(moment, performance.now() - start);
    return output;
  });
  await someTime(moment, 900);
  await kill();
  return await command;
}

/** Another time for ssh, and now and then one service more: other tables, other rules, the same owners. */
function changeConfiguration({ scene }: World): void {
  const { config } = scene.daemon;
  const text = readFileSync(config, "utf8").replace(
    /^ttl = .*$/m,
    `ttl = "${55 + Math.floor(Math.random() * 10)}s"`,
  );
  const extra = '\n[services.extra]\nports = ["tcp/8080"]\n';
  const has = text.includes(extra);
  const flips = Math.random() < 0.4;
  writeFileSync(config, flips && has ? text.replace(extra, "") : flips ? text + extra : text, {
    mode: 0o600,
  });
}

const all = new WeakMap<World, Map<string, Device | "unknown">>();

/** Devices beside the one that loads; "unknown" where a command was cut short. */
function devicesOf(world: World): Map<string, Device | "unknown"> {
  const devices = all.get(world) ?? new Map<string, Device | "unknown">();
  all.set(world, devices);
  return devices;
}
