import { readdirSync, readFileSync } from "node:fs";
import { sleep } from "../../lab/wait.ts";

/** What a process has used since it began. */
export interface Usage {
  /** On a processor, by the scheduler's own count (schedstat of each thread). */
  readonly cpuMs: number;
  /** Times that it went to sleep by itself, in all threads: as often it was woken. */
  readonly wakeUps: number;
  readonly rssMb: number;
  /** By performance.now(). */
  readonly at: number;
}

/** Reads /proc/PID; throws when the process is gone. */
export function usageOf(pid: number): Usage {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  let [nanos, wakeUps] = [0, 0];
  for (const thread of threadsOf(pid)) {
    const folder = `/proc/${pid}/task/${thread}`;
    nanos += Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ")[0]);
    wakeUps += field(readFileSync(`${folder}/status`, "utf8"), "voluntary_ctxt_switches");
  }
  return { cpuMs: nanos / 1e6, wakeUps, rssMb: field(status, "VmRSS") / 1024, at: performance.now() };
}

/** Milliseconds on a processor between two readings, and the share of one processor in percent. */
export function between(before: Usage, after: Usage): { cpuMs: number; percent: number; wakeUps: number } {
  const cpuMs = after.cpuMs - before.cpuMs;
  return {
    cpuMs,
    percent: (100 * cpuMs) / (after.at - before.at),
    wakeUps: after.wakeUps - before.wakeUps,
  };
}

/** Percent of a processor that a process at rest may take. */
const AT_REST = 5;

/** What a process has used once it did next to nothing for `every` ms, or when `within` ms are over. */
export async function atRest(pid: number, every: number, within: number): Promise<Usage> {
  const start = performance.now();
  for (let last = usageOf(pid); ; ) {
    await sleep(every);
    const before = last;
    last = usageOf(pid);
    if (between(before, last).percent < AT_REST || performance.now() - start > within) return last;
  }
}

function threadsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`);
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? Number.NaN);
}
