import { writeFile } from "node:fs/promises";
import type { Network } from "../lib/network.ts";
import { fwknopCommand, startFwknop } from "../lib/others.ts";
import { NODE, type Programs, TOCK } from "../lib/programs.ts";
import type { Group, Row, Scale } from "../lib/result.ts";
import { rounded, summarise } from "../lib/stats.ts";
import { TockDoor } from "../lib/tock-door.ts";

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
    "tock open": [NODE, TOCK, "open", "server", "-4"],
    "tock open --no-reply": [NODE, TOCK, "open", "server", "-4", "--no-reply"],
    "tock --version": [NODE, TOCK, "--version"],
    fwknop: fwknopCommand(iptables, "fwknopd", fwknopd, client.address.v4),
  };
  const file = client.path("race");
  await writeFile(
    file,
    `${Object.values(commands)
      .map((words) => words.join("\t"))
      .join("\n")}\n`,
  );
  const rounds = quick ? 2 : 40;
  const text = await client.must([programs.race, String(rounds), file], { timeout: 300_000 });
  const runs = text
    .trim()
    .split("\n")
    .map((line) => line.split(" ").map(Number));
  const rows: Row[] = Object.keys(commands).map((name, index) => {
    const mine = runs.filter(([line]) => line === index);
    const bad = mine.filter(([, , , code]) => code !== (name.includes("no-reply") ? 3 : 0));
    // The first run fills caches.
    const warm = mine.slice(1);
    const cpu = summarise(warm.map(([, , millis = 0]) => millis));
    return {
      name,
      when: "warm",
      samples: summarise(warm.map(([, millis = 0]) => millis)),
      lost: bad.length,
      figures: { cpuMs: cpu.p50, cpuMinMs: cpu.min, firstMs: rounded(mine[0]?.[1] ?? Number.NaN) },
    };
  });
  await door.stop();
  return {
    id: "client",
    rows,
    notes: [
      "Wall time and processor time of each process by wait4(), in turn. firstMs: the first run of all. fwknop waits for no answer; tock open does, over one round trip.",
    ],
  };
}
