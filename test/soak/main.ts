import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { udpFrame } from "../lab/frame.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { sleep } from "../lab/wait.ts";
import { judge, perPacket, type Sample } from "./judge.ts";

/**
 * `npm run soak -- [--time 1h] [--backend nftables]`: one daemon under a mixed load of opens, pings, knocks, replays, junk,
 * rotations and reloads. Prints a row a minute; the exit code is 1 where a genuine packet was not answered, a stranger got in, or
 * memory, descriptors, ring or log did not stay as they should.
 */

const { values } = parseArgs({
  options: {
    time: { type: "string", default: "5m" },
    backend: { type: "string", default: "iptables" },
    every: { type: "string", default: "60s" },
  },
});
const backend = BACKENDS.find((name) => name === values.backend);
if (backend === undefined) throw new Error(`--backend: expected one of ${BACKENDS.join(", ")}`);
const duration = milliseconds(values.time);
const interval = milliseconds(values.every);

const count = {
  genuine: 0,
  answered: 0,
  resent: 0,
  late: 0,
  knocks: 0,
  replays: 0,
  junk: 0,
  rotations: 0,
  reloads: 0,
  leaks: 0,
};
const samples: Sample[] = [];

await using scene = await Scene.set({
  backend,
  services: { ssh: { ports: ["tcp/22"], ttl: "2s", max_ttl: "10s" } },
  tables: { knock: { transport: "udp" } },
});
const device = await scene.device("alice/soak");
await scene.daemon.enrol(scene.client, "alice/laptop");
const agent = await scene.client.agent();
const stranger = await scene.stranger.agent();
const until = performance.now() + duration;
const over = (): boolean => performance.now() >= until;

/** An authentic packet, sent again as a client does until it is answered. */
async function genuine(): Promise<void> {
  const type = count.genuine % 3 === 2 ? "ping" : "open";
  const fields = type === "ping" ? { service: undefined } : {};
  const packet = device.packet({ type, replyWanted: true, ...fields });
  const payload = count.genuine % 5 === 4 ? device.stun(packet) : packet;
  const family = FAMILIES[count.genuine % 2] ?? 4;
  count.genuine++;
  // From one port, as a client does: a duplicate from another one is told nothing.
  const from = { address: scene.client.at(family), port: 33_000 + (count.genuine % 27_000) };
  // As long as the packet is of a step that counts: a machine that stands still for seconds is not the daemon's doing.
  for (let time = 0; time < 200; time++) {
    if (time > 0) count.resent++;
    if (time === 20) count.late++;
    if ((await agent.udp(scene.spa(family), payload, { from, wait: 100 })).length > 0) {
      count.answered++;
      break;
    }
  }
  await stranger.udp(scene.spa(family), payload);
  count.replays++;
}

async function load(): Promise<void> {
  while (!over()) await Promise.all([genuine(), sleep(20)]);
}

async function junk(): Promise<void> {
  while (!over()) {
    const frames = Array.from({ length: 500 }, (_, index) => {
      const size = index % 3 === 0 ? 144 : randomBytes(2).readUInt16BE() % 700;
      const from = { mac: scene.stranger.mac, address: `192.0.2.${50 + (index % 200)}`, port: 1024 + index };
      const port = index % 4 === 0 ? 10_000 + (randomBytes(2).readUInt16BE() % 22_768) : 62_201;
      return udpFrame(
        from,
        { mac: scene.server.mac, address: scene.server.address.v4, port },
        randomBytes(size),
      );
    });
    await stranger.frames(scene.stranger.device, frames);
    count.junk += frames.length;
    await sleep(200);
  }
}

async function knocks(): Promise<void> {
  while (!over()) {
    for (const port of device.sequence()) {
      await agent.udp({ address: scene.server.address.v4, port }, Buffer.alloc(0));
    }
    count.knocks++;
    await sleep(10_000);
  }
}

async function changes(): Promise<void> {
  while (!over()) {
    await sleep(7_000);
    if ((await scene.tock(scene.client, "rotate", "server")).code === 0) count.rotations++;
    await sleep(7_000);
    if ((await scene.daemon.command("reload")).code === 0) count.reloads++;
    for (const family of FAMILIES) if (await scene.sees(scene.stranger, family)) count.leaks++;
  }
}

async function watch(): Promise<void> {
  const heads = [
    "minutes",
    "genuine",
    "answered",
    "replays",
    "knocks",
    "junk",
    "rotated",
    "reloads",
    "MB",
    "fds",
    "lost",
    "out kB",
    "trail kB",
    "wal kB",
    "state kB",
  ];
  print(heads);
  const start = performance.now();
  while (!over()) {
    await sleep(Math.min(interval, Math.max(1, until - performance.now())));
    const sample = await look((performance.now() - start) / 60_000);
    samples.push(sample);
    const { genuine, answered, replays, knocks, junk, rotations, reloads } = count;
    const { minutes, megabytes, descriptors, lost, output, trail, wal, state } = sample;
    const kept = [output, trail, wal, state].map((bytes) => (bytes / 1024).toFixed(0));
    const counts = [genuine, answered, replays, knocks, junk, rotations, reloads];
    print([minutes.toFixed(1), ...counts, megabytes.toFixed(1), descriptors, lost, ...kept]);
  }
}

async function look(minutes: number): Promise<Sample> {
  const { pid, said } = scene.daemon.process;
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  const descriptors = readdirSync(`/proc/${pid}/fd`).length;
  // On a machine that stands still for a while a command is cut short.
  let status = await scene.daemon.command("status", "--json");
  while (status.timedOut) status = await scene.daemon.command("status", "--json");
  const { lost } = JSON.parse(status.stdout) as { lost: number };
  const trail = sizeOf(scene.daemon.state, (name) => name.startsWith("audit"));
  const wal = sizeOf(scene.daemon.state, (name) => name.endsWith("-wal"));
  return {
    minutes,
    genuine: count.genuine,
    megabytes: Number(resident) / 1024,
    descriptors,
    lost,
    output: said,
    trail,
    wal,
    state: sizeOf(scene.daemon.state) - trail - wal,
  };
}

function sizeOf(folder: string, isMeant: (name: string) => boolean = () => true): number {
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.reduce((sum, entry) => {
    const path = join(folder, entry.name);
    // What was there when the folder was read may be gone by now.
    const size = entry.isDirectory()
      ? sizeOf(path, isMeant)
      : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);
    return isMeant(entry.name) || entry.isDirectory() ? sum + size : sum;
  }, 0);
}

function print(row: readonly (string | number)[]): void {
  console.log(row.map((cell) => String(cell).padStart(9)).join(""));
}

function milliseconds(text: string): number {
  const [, number, unit] = /^(\d+)(s|m|h)$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`expected a time such as 30s, 5m or 24h, got ${text}`);
  return Number(number) * { s: 1e3, m: 60e3, h: 3600e3 }[unit as "s" | "m" | "h"];
}

await Promise.all([load(), junk(), knocks(), changes(), watch()]);

const problems: string[] = [];
if (count.genuine === 0) problems.push("nothing was sent");
if (count.answered < count.genuine)
  problems.push(`${count.genuine - count.answered} genuine packets not answered`);
if (count.leaks > 0) problems.push(`a stranger got in ${count.leaks} times`);
problems.push(...judge(samples));
const [first, last] = [samples[0], samples.at(-1)];
if (first && last) {
  const [output, trail] = (["output", "trail"] as const).map((kind) =>
    perPacket(first, last, kind).toFixed(0),
  );
  console.log(`bytes for each genuine packet: ${output} of output, ${trail} of audit trail`);
}
console.log(
  `${count.resent} times a packet was sent again before it was answered, ${count.late} took longer than 2 s`,
);
console.log(problems.length === 0 ? "all as it should be" : `PROBLEM: ${problems.join("; ")}`);
process.exitCode = problems.length === 0 ? 0 : 1;
