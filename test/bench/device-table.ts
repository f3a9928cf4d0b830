import { parseArgs } from "node:util";
import { DeviceTable } from "../../server/core/device-table.ts";
import { define } from "../../server/sys/libc.ts";
import { stepAt } from "../../shared/time-step.ts";
import { bytesFrom, later, makeDevice, NOW, SEED, secretFrom, Sender, SERVER_ID } from "../support/core.ts";

// device-table.ts COUNT [--knock]: what so many devices cost the daemon's core, in this process alone. Prints JSON.
// Run with --expose-gc, so that memory is what is held and not what was thrown away.

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { knock: { type: "boolean" }, slice: { type: "string", default: "256" } },
});
const count = Number(positionals[0] ?? 100_000);
const slice = Number(values.slice);
const knock = values.knock === true ? { first: 20_000, last: 29_999, length: 5 } : undefined;

const collect = (): void => (globalThis as { gc?: () => void }).gc?.();
const held = (): number => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** CLOCK_THREAD_CPUTIME_ID of clock_gettime(2). What process.threadCpuUsage() gives moves on with the kernel's ticks alone, 4 ms each. */
const clockGettime = define("int clock_gettime(int clock, void *time)");
const time = new BigInt64Array(2);
const timeBytes = new Uint8Array(time.buffer);
const threadMillis = (): number => {
  if (clockGettime(3, timeBytes) !== 0) throw new Error("clock_gettime failed");
  return Number((time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n)) / 1e6;
};

const devices = Array.from({ length: count }, (_, n) => makeDevice(`user${n % 1000}/d${n}`));
const before = held();
let told = 0;
const feed = { add: (tags: Uint8Array) => (told += tags.length), remove: () => undefined };
const table = new DeviceTable({ serverId: SERVER_ID, skew: { past: 1, future: 1 }, knock, seed: SEED, feed });
const start = performance.now();
for (const device of devices) table.put(device, true);
table.advance(NOW);
while (table.work(slice) > 0);
const startMs = performance.now() - start;
const bytes = held() - before;

// Steps as the daemon takes them: a slice at a time. A slice is measured in processor time of its thread: what other
// processes take on a busy machine is not its own.
const steps: { cpuMs: number; slices: number[] }[] = [];
let now = NOW;
for (let step = 0; step < (count > 200_000 ? 3 : 8); step++) {
  now = later(now, 30_000);
  const cpu = process.cpuUsage();
  const slices: number[] = [];
  let at = threadMillis();
  table.advance(now);
  for (let left = 1; left > 0; ) {
    left = table.work(slice);
    const end = threadMillis();
    slices.push(end - at);
    at = end;
  }
  const { user, system } = process.cpuUsage(cpu);
  steps.push({ cpuMs: (user + system) / 1000, slices });
}

const tag = new Sender(secretFrom(`user${(count - 1) % 1000}/d${count - 1}`)).tag(stepAt(now));
const strangers = bytesFrom("strangers", 8 * 65_536);
const look = (what: Uint8Array, at: (n: number) => number): number => {
  let found = 0;
  const rounds: number[] = [];
  for (let round = 0; round < 12; round++) {
    const begin = process.hrtime.bigint();
    for (let n = 0; n < 65_536; n++) if (table.findTag(what, at(n)) !== undefined) found++;
    rounds.push(Number(process.hrtime.bigint() - begin) / 65_536);
  }
  if (found !== 0 && found !== 12 * 65_536) throw new Error(`found ${found} tags`);
  return rounds.sort((a, b) => a - b)[6] ?? 0;
};
const all = steps.flatMap(({ slices }) => slices).sort((a, b) => a - b);
console.log(
  JSON.stringify({
    devices: count,
    told,
    startMs,
    bytesPerDevice: bytes / count,
    bytes,
    stepCpuMs: steps.map(({ cpuMs }) => cpuMs).sort((a, b) => a - b)[steps.length >> 1],
    sliceMs: {
      p50: all[all.length >> 1],
      p99: all[Math.floor(all.length * 0.99)],
      max: all.at(-1),
    },
    missNs: look(strangers, (n) => n * 8),
    hitNs: look(tag, () => 0),
  }),
);
