import { writeFile } from "node:fs/promises";
import type { Device } from "../../lab/device.ts";
import { sleep } from "../../lab/wait.ts";
import { Flood, type Kind } from "../lib/flood.ts";
import type { Network } from "../lib/network.ts";
import { Probe } from "../lib/probe.ts";
import type { Programs } from "../lib/programs.ts";
import type { Group, Row, Scale } from "../lib/result.ts";
import { rounded, summarise } from "../lib/stats.ts";
import { TockDoor } from "../lib/tock-door.ts";
import { atRest, between, usageOf } from "../lib/usage.ts";

const SPA = 62_201;
const KINDS: readonly Kind[] = ["tag", "size", "ports", "stun", "forged"];
const WORDS: Readonly<Record<Kind, string>> = {
  tag: "wrong tag",
  size: "wrong size",
  ports: "random ports",
  stun: "STUN, wrong tag",
  forged: "known tag, forged",
  each: "genuine",
};
/** 0 = as fast as the sender can. */
const RATES = [100_000, 200_000, 400_000, 0];
/** Devices from which on the step to come keeps the daemon busy for longer than a row takes. */
const MANY = 1_000_000;

/** Floods of junk at more and more packets a second, with genuine packets in the midst of them. */
export async function measureJunk(network: Network, programs: Programs, { quick }: Scale): Promise<Group> {
  const door = await TockDoor.create(network.iptables, "iptables");
  await (await door.host.agent()).listen("tcp", 22);
  const device = await door.device("alice/phone");
  const probe = new Probe(network.client, programs);
  const file = network.stranger.path("packets");
  const rows: Row[] = [];
  let filled = 1;
  for (const devices of quick ? [1, 1_000] : [1, 1_000, 100_000, 1_000_000]) {
    door.fill(devices - filled, filled);
    filled = devices;
    await door.start();
    for (const kind of KINDS) {
      const all = devices === 100_000 || kind === "forged";
      for (const rate of quick ? [50_000] : all ? RATES : [400_000]) {
        const packets = Array.from({ length: 64 }, () => device.packet());
        await writeFile(file, Buffer.concat(packets));
        const seconds = quick ? 0.5 : 3;
        const flood = new Flood(network.stranger, programs, door.host.address.v4, SPA);
        // Or the row would be of that work, which comes and goes, and not of packets.
        if (devices >= MANY) await atRest(door.pid, 500, 30_000);
        const quiet = usageOf(door.pid);
        await sleep(500 * seconds);
        const before = usageOf(door.pid);
        flood.start(kind, rate, seconds / 2, file);
        const { sent, seconds: took } = await flood.end();
        const { percent } = between(before, usageOf(door.pid));
        const quietPercent = between(quiet, before).percent;
        const extraNanos = Math.max(0, percent - quietPercent) * 1e7 * took;
        flood.start(kind, rate, seconds, file);
        await sleep(100);
        const times = await during(flood, () => genuine(probe, network, door, device));
        await flood.end();
        const good = times.filter((time) => time !== undefined);
        rows.push({
          name: WORDS[kind],
          when: `${devices} devices, ${rate === 0 ? "flat out" : `${rate}/s`}`,
          samples: summarise(good),
          lost: times.length - good.length,
          figures: {
            devices,
            asked: rate,
            rate: Math.round(sent / took),
            quietPercent: rounded(quietPercent),
            cpuPercent: rounded(percent),
            nsPerPacket: rounded(extraNanos / sent),
          },
        });
      }
    }
    await door.stop();
  }
  return {
    id: "junk",
    rows,
    notes: [
      "First the flood alone, whose cost to the daemon is the row's; then the same flood with a genuine packet each 10 ms from another host: the row's times are theirs, from sendto() to the open port. Lost: not open within a second. quietPercent: the daemon just before; nsPerPacket is what came on top of that. At a million devices a row waits until the step to come is ready, for at most half a minute: where quietPercent is more than a few, it was not, and nsPerPacket is the difference of two loads that change.",
      "The sender is one C program on one core, which also pays for the kernel's handling of each packet up to the filter.",
    ],
  };
}

async function genuine(
  probe: Probe,
  network: Network,
  door: TockDoor,
  device: Device,
): Promise<number | undefined> {
  await sleep(10);
  const datagram = { port: SPA, delay: 0, bytes: device.packet({ replyWanted: true }) };
  return probe.trial(network.sources.next(4), door.host.address.v4, 22, [datagram]);
}

async function during<T>(flood: Flood, act: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  while (flood.running) results.push(await act());
  return results;
}
