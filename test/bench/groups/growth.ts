import { fileURLToPath } from "node:url";
import { must } from "../../lab/exec.ts";
import { Flood } from "../lib/flood.ts";
import type { Network } from "../lib/network.ts";
import { NODE, type Programs } from "../lib/programs.ts";
import type { Group, Row, Scale } from "../lib/result.ts";
import { median, rounded, summarise } from "../lib/stats.ts";

const program = (name: string): string => fileURLToPath(new URL(`../${name}.ts`, import.meta.url));

interface Core {
  readonly startMs: number;
  readonly bytesPerDevice: number;
  readonly bytes: number;
  readonly stepCpuMs: number;
  readonly sliceMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly missNs: number;
  readonly hitNs: number;
}

/** What grows with devices and with open grants, and what does not. */
export async function measureGrowth(network: Network, programs: Programs, scale: Scale): Promise<Group> {
  const rows: Row[] = [];
  for (const knock of [false, true]) rows.push(...(await devices(scale, knock)));
  for (const backend of ["iptables", "nftables"] as const)
    rows.push(...(await grants(network, programs, scale, backend)));
  return {
    id: "growth",
    rows,
    notes: [
      "devices: the daemon's core in a process of its own. A step derives every device's tag (and knock sequence) for the step to come, a slice at a time, so that a packet waits for one slice at most; slices are in processor time, as the kernel counts it for the thread.",
      "grants: `open` adds a new source, `again` extends one that is in. Packets: nanoseconds that the sender spends on one, which on a virtual wire includes the receiver's whole path through its chains; less what it spends without a guard.",
    ],
  };
}

async function devices({ quick }: Scale, knock: boolean): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of quick ? [1, 1_000] : [1, 1_000, 10_000, 100_000, 1_000_000]) {
    const argv = [NODE, "--expose-gc", program("device-table"), String(count), ...(knock ? ["--knock"] : [])];
    const core = JSON.parse(await must(argv as [string, ...string[]], { timeout: 300_000 })) as Core;
    rows.push({
      name: knock ? "devices that knock" : "devices",
      when: String(count),
      figures: {
        devices: count,
        missNs: rounded(core.missNs),
        hitNs: rounded(core.hitNs),
        stepCpuMs: rounded(core.stepCpuMs),
        stepPercent: rounded(core.stepCpuMs / 300),
        sliceP99Ms: rounded(core.sliceMs.p99),
        sliceMaxMs: rounded(core.sliceMs.max),
        startMs: rounded(core.startMs),
        megabytes: rounded(core.bytes / 1e6),
        bytesPerDevice: Math.round(core.bytesPerDevice),
      },
    });
  }
  return rows;
}

async function grants(
  network: Network,
  programs: Programs,
  { quick }: Scale,
  backend: "iptables" | "nftables",
): Promise<Row[]> {
  const host = network[backend];
  // A set of nftables holds 65,535 elements, an ipset a million.
  const most = backend === "nftables" ? 65_000 : 100_000;
  const sizes = quick ? [1, 1_000] : [1, 1_000, 10_000, most];
  await (await host.agent()).listen("udp", 5000);
  const process = host.start([NODE, program("grants"), backend, ...sizes.map(String)]);
  const perPacket = async (): Promise<number> => {
    const rounds: number[] = [];
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      const flood = new Flood(network.stranger, programs, host.address.v4, 5000);
      flood.start("size", 0, quick ? 0.2 : 0.5);
      const { sent, seconds } = await flood.end();
      rounds.push((seconds * 1e9) / sent);
    }
    return median(rounds);
  };
  const taken: { size: number; open: number[]; again: number[]; ns: number }[] = [];
  for (const size of sizes) {
    const [line] = await process.waitFor(new RegExp(`^\\{"size":${size},.*$`, "m"), 120_000);
    taken.push({
      ...(JSON.parse(line) as { size: number; open: number[]; again: number[] }),
      ns: await perPacket(),
    });
    process.write("\n");
  }
  await process.waitFor(/^off$/m);
  const without = await perPacket();
  process.write("\n");
  await process.exited;
  return taken.map(({ size, open, again, ns }) => ({
    name: `grants ${backend}`,
    when: String(size),
    figures: {
      grants: size,
      openMicros: summarise(open).p50,
      openP99Micros: summarise(open).p99,
      againMicros: summarise(again).p50,
      packetNs: rounded(ns - without),
    },
  }));
}
