import { rmSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { measureClient } from "./groups/client.ts";
import { measureGrowth } from "./groups/growth.ts";
import { measureJunk } from "./groups/junk.ts";
import { measureKnocks } from "./groups/knock.ts";
import { measureOpens } from "./groups/opens.ts";
import { measureStanding } from "./groups/standing.ts";
import { machine } from "./lib/machine.ts";
import { Network } from "./lib/network.ts";
import { compile, type Programs } from "./lib/programs.ts";
import type { Group, Scale } from "./lib/result.ts";

// npm run bench -- [--quick] [--only GROUP,…] [--out FILE]: takes the figures of docs/BENCHMARKS.md. Needs root.

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    out: { type: "string", default: "dist/bench.json" },
  },
});

type Measure = (network: Network, programs: Programs, scale: Scale) => Promise<Group>;
const GROUPS: Readonly<Record<Group["id"], Measure>> = {
  knock: measureKnocks,
  junk: measureJunk,
  opens: measureOpens,
  growth: measureGrowth,
  client: measureClient,
  standing: measureStanding,
};

const wanted = values.only?.split(",") ?? Object.keys(GROUPS);
const programs = await compile();
const groups: Group[] = [];
try {
  for (const [id, measure] of Object.entries(GROUPS)) {
    if (!wanted.includes(id)) continue;
    console.log(`bench: ${id}`);
    await using network = await Network.create();
    // What the other groups have found is not lost with one that fails.
    await measure(network, programs, { quick: values.quick }).then(
      (group) => groups.push(group),
      (error: unknown) => {
        console.error(`bench: ${id} failed:`, error);
        process.exitCode = 1;
      },
    );
  }
} finally {
  rmSync(programs.folder, { recursive: true, force: true });
}
const before = (await readFile(values.out, "utf8").then(JSON.parse, () => ({ groups: [] }))) as {
  groups: Group[];
};
const kept = before.groups.filter(({ id }) => !groups.some((group) => group.id === id));
await mkdir(dirname(values.out), { recursive: true });
const result = { machine: await machine(), quick: values.quick, groups: [...kept, ...groups] };
await writeFile(values.out, `${JSON.stringify(result, undefined, 1)}\n`);
console.log(`bench: ${values.out}`);
