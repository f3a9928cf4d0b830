import { copyFile, writeFile } from "node:fs/promises";
import type { Host } from "../../lab/host.ts";
import type { Network } from "../lib/network.ts";
import { fwknopCommand, startFwknop } from "../lib/others.ts";
import { NODE, type Programs, TOCK } from "../lib/programs.ts";
import type { Group, Row, Scale } from "../lib/result.ts";
import { rounded, summarise } from "../lib/stats.ts";
import { TockDoor } from "../lib/tock-door.ts";
import { measurePage } from "./page.ts";

const OPEN = ["open", "server", "-4"];

/** Wall and processor milliseconds of each run of a process, and its exit code. */
interface Run {
  readonly wall: number;
  readonly cpu: number;
  readonly code: number;
}

/** Whole processes of the client, from exec to exit, in turn with an empty Node process and with fwknop. */
export async function measureClient(network: Network, programs: Programs, { quick }: Scale): Promise<Group> {
  const { client, iptables } = network;
  const door = await TockDoor.create(iptables, "iptables");
  await door.start();
  await door.server.enrol(client, "alice/phone", "--static");
  const fwknopd = await startFwknop(iptables, "fwknopd", { opens: 2201, listens: 62_211 });
  const empty = client.path("empty.js");
  await writeFile(empty, "");
  const commands: Record<string, string[]> = {
    "node, an empty file": [NODE, empty],
    "tock open": [NODE, TOCK, ...OPEN],
    "tock open --no-reply": [NODE, TOCK, ...OPEN, "--no-reply"],
    "tock --version": [NODE, TOCK, "--version"],
    fwknop: fwknopCommand(iptables, "fwknopd", fwknopd, client.address.v4),
  };
  const warm = await race(client, programs, Object.values(commands), quick ? 2 : 40);
  // The first run fills caches.
  const rows = Object.keys(commands).map((name, index) => rowOf(name, "warm", warm[index]?.slice(1) ?? []));
  rows.push(...(await measureCold(client, programs, empty, quick ? 1 : 8)));
  rows.push(await roundTrips(client, quick ? 2 : 20));
  rows.push(await measurePage(client, door, quick ? 1 : 30));
  await door.stop();
  return {
    id: "client",
    rows,
    notes: [
      "Wall time and processor time of each process by wait4(), in turn. fwknop waits for no answer; tock open does, over one round trip, which is the row `round trip`: by the client's own clock, from sending to the reply.",
      "cold: a copy of Node and of the program whose pages are taken out of the page cache before each run. page: Debian's Chromium, from the click to the state `open`, by the page's clock.",
    ],
  };
}

/** The runs of each command. */
async function race(
  client: Host,
  programs: Programs,
  commands: readonly (readonly string[])[],
  rounds: number,
): Promise<Run[][]> {
  const file = client.path("race");
  await writeFile(file, `${commands.map((words) => words.join("\t")).join("\n")}\n`);
  const text = await client.must([programs.race, String(rounds), file], { timeout: 300_000 });
  const runs: Run[][] = commands.map(() => []);
  for (const line of text.trim().split("\n")) {
    const [index = 0, wall = Number.NaN, cpu = Number.NaN, code = -1] = line.split(" ").map(Number);
    runs[index]?.push({ wall, cpu, code });
  }
  return runs;
}

function rowOf(name: string, when: string, runs: readonly Run[]): Row {
  const cpu = summarise(runs.map((run) => run.cpu));
  return {
    name,
    when,
    samples: summarise(runs.map((run) => run.wall)),
    lost: runs.filter(({ code }) => code !== (name.includes("no-reply") ? 3 : 0)).length,
    figures: { cpuMs: cpu.p50, cpuMinMs: cpu.min },
  };
}

/** The same from the disk. */
async function measureCold(client: Host, programs: Programs, empty: string, rounds: number): Promise<Row[]> {
  const [node, script] = [client.path("node"), client.path("tock.mjs")];
  await copyFile(NODE, node);
  await copyFile(TOCK, script);
  const commands = {
    "node, an empty file": [node, empty],
    "tock open": [node, script, ...OPEN],
  };
  const runs: Run[][] = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const [index, command] of Object.values(commands).entries()) {
      for (const file of [node, script])
        await client.must(["dd", `of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"]);
      runs[index]?.push(...(await race(client, programs, [command], 1)).flat());
    }
  }
  return Object.keys(commands).map((name, index) => rowOf(name, "cold", runs[index] ?? []));
}

async function roundTrips(client: Host, rounds: number): Promise<Row> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const told = await client.must([NODE, TOCK, ...OPEN, "--json"]);
    const { targets } = JSON.parse(told) as { targets: { roundTripMs: number }[] };
    times.push(...targets.map(({ roundTripMs }) => rounded(roundTripMs)));
  }
  return { name: "round trip", when: "warm", samples: summarise(times) };
}
