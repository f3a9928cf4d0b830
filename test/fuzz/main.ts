import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { bundleTargets } from "./instrument.ts";
import { Coverage, fuzz, type Target } from "./loop.ts";
import { keep, kept } from "./corpus.ts";
import { Random } from "./random.ts";

/**
 * `npm run fuzz -- [--time 10m] [--target NAME] [--seed N]`: runs each target for its share of the time and prints how
 * often, and how much of the code's branching was seen. An input that shows a defect is made small, kept in the corpus, and the
 * exit code is 1.
 */

const { values } = parseArgs({
  options: {
    time: { type: "string", default: "1m" },
    target: { type: "string", multiple: true },
    seed: { type: "string" },
  },
});
const seed = Number(values.seed ?? randomBytes(4).readUInt32BE());
const coverage = new Coverage();
coverage.install();
const { file, branches } = await bundleTargets();
const { TARGETS } = (await import(file)) as { TARGETS: readonly Target[] };
rmSync(file);
const targets = TARGETS.filter(({ name }) => values.target?.includes(name) ?? true);
if (targets.length === 0)
  throw new Error(`--target: expected one of ${TARGETS.map(({ name }) => name).join(", ")}`);

const share = milliseconds(values.time) / targets.length;
console.log(`seed ${seed}, ${branches} branches with a probe, ${Math.round(share / 1000)} s a target`);
console.log("target        executions  per second  transitions  corpus");
let executions = 0;
let failed = false;
for (const target of targets) {
  const end = performance.now() + share;
  const outcome = fuzz(
    target,
    kept(target.name).map(({ input }) => input),
    coverage,
    new Random(seed),
    (done) => done % 64 === 0 && performance.now() >= end,
  );
  executions += outcome.executions;
  const rate = Math.round((outcome.executions / outcome.milliseconds) * 1000);
  const row = [outcome.executions, rate, outcome.transitions, outcome.corpus];
  const [a = "", b = "", c = "", d = ""] = row.map(String);
  console.log(`${target.name.padEnd(12)}${a.padStart(12)}${b.padStart(12)}${c.padStart(13)}${d.padStart(8)}`);
  if (outcome.finding === undefined) continue;
  failed = true;
  const { error, input } = outcome.finding;
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.log(`  DEFECT: ${why}\n  kept as ${keep(target.name, input, why)}`);
}
console.log(`${executions} executions in all`);
process.exitCode = failed ? 1 : 0;

function milliseconds(text: string): number {
  const [, number, unit] = /^(\d+)(s|m|h)$/.exec(text) ?? [];
  if (number === undefined) throw new Error(`--time: expected something like 30s, 10m or 1h, got ${text}`);
  return Number(number) * { s: 1e3, m: 60e3, h: 3600e3 }[unit as "s" | "m" | "h"];
}
