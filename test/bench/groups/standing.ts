import { statSync } from "node:fs";
import { must } from "../../lab/exec.ts";
import type { Process } from "../../lab/process.ts";
import { sleep } from "../../lab/wait.ts";
import type { Network } from "../lib/network.ts";
import { startFwknop, startKnockd } from "../lib/others.ts";
import { NODE, type Programs, TOCKD } from "../lib/programs.ts";
import type { Group, Row, Scale } from "../lib/result.ts";
import { median, rounded } from "../lib/stats.ts";
import { TockDoor } from "../lib/tock-door.ts";
import { between, usageOf } from "../lib/usage.ts";

/** What the daemons cost while nothing happens. */
export async function measureStanding(
  network: Network,
  _programs: Programs,
  { quick }: Scale,
): Promise<Group> {
  const host = network.iptables;
  const doors = [
    await TockDoor.create(network.iptables, "iptables"),
    await TockDoor.create(network.nftables, "nftables"),
  ];
  const starts: number[][] = [];
  for (const door of doors) {
    await door.device("alice/phone");
    const times: number[] = [];
    for (let round = 0; round < (quick ? 1 : 7); round++) {
      times.push(await door.start());
      await door.stop();
    }
    starts.push(times);
    await door.start();
  }
  const node: Process = host.start([NODE, "-e", "setInterval(() => {}, 1e9)"]);
  const fwknopd = await startFwknop(host, "fwknopd", { opens: 2201, listens: 62_211 });
  const knockd = await startKnockd(host, 2203);
  const watched = [
    { name: "node, an empty program", pid: node.pid, start: undefined },
    ...doors.map((door, index) => ({
      name: `tockd ${door.backend}`,
      pid: door.pid,
      start: median(starts[index] ?? []),
    })),
    { name: "fwknopd", pid: fwknopd.process.pid, start: undefined },
    { name: "knockd", pid: knockd.process.pid, start: undefined },
  ];
  // V8 collects once more what the start has left, half a minute later.
  await sleep(quick ? 500 : 45_000);
  const before = watched.map(({ pid }) => usageOf(pid));
  await sleep(quick ? 1_000 : 60_000);
  const sizes = await sizesOnDisk();
  const rows: Row[] = watched.map(({ name, pid, start }, index) => {
    const [first, last] = [before[index], usageOf(pid)];
    if (first === undefined) throw new Error("nothing was read before");
    const { percent, wakeUps } = between(first, last);
    return {
      name,
      when: "idle",
      figures: {
        cpuPercent: rounded(percent),
        wakeUpsPerMinute: Math.round((wakeUps * 60_000) / (last.at - first.at)),
        rssMb: rounded(last.rssMb),
        ...(start !== undefined && { startMs: start }),
        ...(sizes[name.split(" ")[0] ?? ""] !== undefined && {
          diskKb: sizes[name.split(" ")[0] ?? ""] ?? 0,
        }),
      },
    };
  });
  for (const door of doors) await door.stop();
  return {
    id: "standing",
    rows,
    notes: [
      "A minute, which begins three quarters of a minute after the last of them was started.",
      "startMs: from starting the process to its log line `ready`, with one device. diskKb: the bundle alone for tockd, which also needs Node and koffi; the Debian package for the others.",
    ],
  };
}

async function sizesOnDisk(): Promise<Record<string, number>> {
  const installed = async (name: string): Promise<number> =>
    Number(await must(["dpkg-query", "-W", "-f", "${Installed-Size}", name]));
  return {
    tockd: Math.round(statSync(TOCKD).size / 1024),
    fwknopd: await installed("fwknop-server"),
    knockd: await installed("knockd"),
  };
}
