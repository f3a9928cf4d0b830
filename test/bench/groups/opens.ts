import { writeFile } from "node:fs/promises";
import type { Device } from "../../lab/device.ts";
import { sleep } from "../../lab/wait.ts";
import { Flood } from "../lib/flood.ts";
import type { Network } from "../lib/network.ts";
import type { Programs } from "../lib/programs.ts";
import type { Group, Row, Scale } from "../lib/result.ts";
import { rounded } from "../lib/stats.ts";
import { TockDoor } from "../lib/tock-door.ts";
import { atRest, between, usageOf } from "../lib/usage.ts";

const SPA = 62_201;
/** Enough: no secret may be used more than 4,096 times in a step. */
const DEVICES = 16;
/** Opens before the first figure. */
const WARM = 3_000;
/** Milliseconds: notes of what is open are written after a second. */
const REST = 1_200;

/** Authentic packets, each for an address of its own: journal, firewall, log and reply for every one. */
export async function measureOpens(network: Network, programs: Programs, { quick }: Scale): Promise<Group> {
  const rows: Row[] = [];
  let source = 10 * 2 ** 24 + 96 * 2 ** 16 + 1;
  for (const backend of ["iptables", "nftables"] as const) {
    const door = await TockDoor.create(network[backend], backend);
    const devices: Device[] = [];
    for (let n = 0; n < (quick ? 1 : DEVICES); n++) devices.push(await door.device(`alice/d${n}`));
    await door.start();
    const file = network.stranger.path("packets");
    const send = async (rate: number, count: number): Promise<{ sent: number; seconds: number }> => {
      const packets = Array.from({ length: count }, (_, n) => packetOf(devices, n));
      await writeFile(file, Buffer.concat(packets));
      const flood = new Flood(network.stranger, programs, door.host.address.v4, SPA);
      flood.start("each", rate, 10, file, dotted(source));
      source += count;
      return await flood.end();
    };
    // What is compiled and made at first is no part of what an open costs from then on.
    await send(1_500, quick ? 100 : WARM);
    await atRest(door.pid, REST, 60_000);
    for (const rate of quick ? [500] : [1_000, 2_500, 5_000, 7_500, 10_000, 15_000, 20_000]) {
      const count = quick ? 200 : Math.min(rate, 10_000);
      const granted = await grantsIn(door);
      const before = usageOf(door.pid);
      const { sent, seconds } = await send(rate, count);
      // Asked only then: to say how it stands, the daemon lists every grant and runs iptables.
      const { cpuMs } = between(before, await atRest(door.pid, REST, 60_000));
      const opened = (await grantsIn(door)) - granted;
      rows.push({
        name: `tockd ${backend}`,
        when: `${rate}/s`,
        lost: sent - opened,
        figures: {
          asked: rate,
          rate: Math.round(sent / seconds),
          opened,
          cpuMicrosPerOpen: rounded((cpuMs * 1e3) / opened),
          opensPerCpuSecond: Math.round(opened / (cpuMs / 1e3)),
        },
      });
      await sleep(200);
    }
    await door.stop();
  }
  return {
    id: "opens",
    rows,
    notes: [
      "Each packet is decrypted, written to the journal, opened in the firewall with the kernel's confirmation, logged, and answered. 3,000 opens come first, which are not counted. Figures end when the daemon is at rest again, with the trail and the notes written. An open costs all threads of the process together cpuMicrosPerOpen on a processor.",
    ],
  };
}

function packetOf(devices: readonly Device[], n: number): Buffer {
  const device = devices[n % devices.length];
  if (device === undefined) throw new Error("no device");
  return device.packet({ replyWanted: true });
}

/** Grants since the daemon's start: it counts those that the kernel confirmed. */
async function grantsIn(door: TockDoor): Promise<number> {
  const status = JSON.parse(await door.server.must("status", "--json")) as { opened: number };
  return status.opened;
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}
