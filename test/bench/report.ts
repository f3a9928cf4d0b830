import { mkdir, readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import type { Group } from "./lib/result.ts";
import { markdown, type Run } from "./report/markdown.ts";
import { linePlot, type Series, spreadPlot } from "./report/svg.ts";

// report.ts [--run FILE] [--docs FOLDER]: docs/BENCHMARKS.md, its plots, and the figures themselves, from a run's JSON.

const { values } = parseArgs({
  options: {
    run: { type: "string", default: "dist/bench.json" },
    docs: { type: "string", default: "docs" },
  },
});

const run = JSON.parse(await readFile(values.run, "utf8")) as Run;
const folder = `${values.docs}/bench`;
await mkdir(folder, { recursive: true });
const plots: Partial<Record<Group["id"], string[]>> = {};

async function plot(id: Group["id"], name: string, svg: string): Promise<void> {
  await writeFile(`${folder}/${name}.svg`, svg);
  (plots[id] ??= []).push(`bench/${name}.svg`);
}

const rowsOf = (id: Group["id"]): Group["rows"] => run.groups.find((group) => group.id === id)?.rows ?? [];

const KINDS = ["tockd iptables", "tockd nftables", "fwknopd", "knockd", "C"];
const TIMES = {
  idle: "nothing for 10 s before",
  warm: "one after the other",
  junk: "under 100,000 junk packets/s",
};
for (const [when, words] of Object.entries(TIMES)) {
  const rows = rowsOf("knock").filter((row) => row.when === when && (row.samples?.count ?? 0) > 0);
  if (rows.length === 0) continue;
  const spreads = rows.flatMap(({ name, samples }) =>
    samples ? [{ ...samples, label: name, kind: KINDS.findIndex((kind) => name.startsWith(kind)) }] : [],
  );
  await plot("knock", `knock-${when}`, spreadPlot(`Knock to open, ${words}`, "ms", spreads));
}

/** A line for each name: a figure over another. */
function series(
  id: Group["id"],
  x: string,
  y: string,
  named: (name: string) => boolean = () => true,
): Series[] {
  const lines = new Map<string, (readonly [number, number])[]>();
  for (const { name, figures } of rowsOf(id)) {
    if (!named(name) || figures?.[x] === undefined || figures[y] === undefined) continue;
    lines.set(name, [...(lines.get(name) ?? []), [Number(figures[x]), Number(figures[y])]]);
  }
  return [...lines].map(([name, points]) => ({ name, points }));
}

const isDevices = (name: string): boolean => name.startsWith("devices");
const isGrants = (name: string): boolean => name.startsWith("grants");
const lines = [
  [
    "opens",
    "opens-cost",
    "Processor time of an open",
    "opens asked for a second",
    "µs",
    series("opens", "asked", "cpuMicrosPerOpen"),
  ],
  [
    "growth",
    "growth-step",
    "Processor time of a step (30 s)",
    "devices",
    "ms",
    series("growth", "devices", "stepCpuMs", isDevices),
  ],
  [
    "growth",
    "growth-look-up",
    "Look-up of a stranger's tag",
    "devices",
    "ns",
    series("growth", "devices", "missNs", isDevices),
  ],
  [
    "growth",
    "growth-memory",
    "Memory of the core",
    "devices",
    "MB",
    series("growth", "devices", "megabytes", isDevices),
  ],
  [
    "growth",
    "growth-grant",
    "One more grant",
    "grants open",
    "µs",
    series("growth", "grants", "openMicros", isGrants),
  ],
] as const;
for (const [id, name, title, x, y, all] of lines) {
  if (all.length > 0) await plot(id, name, linePlot(title, x, y, all));
}
const processes = rowsOf("client").flatMap(({ name, when, samples }, kind) =>
  samples ? [{ ...samples, label: when === "cold" ? `${name}, cold` : name, kind }] : [],
);
if (processes.length > 0)
  await plot(
    "client",
    "client",
    spreadPlot("The client: whole processes, a round trip, and the page", "ms", processes),
  );

const notes = await readFile(`${folder}/notes.md`, "utf8").catch(() => "");
await writeFile(`${folder}/results.json`, `${JSON.stringify(run, undefined, 1)}\n`);
await writeFile(`${values.docs}/BENCHMARKS.md`, markdown(run, plots, notes));
console.log(`report: ${values.docs}/BENCHMARKS.md`);
