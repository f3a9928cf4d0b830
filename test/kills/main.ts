import { parseArgs } from "node:util";
import { BACKENDS } from "../lab/tock-server.ts";
import { killAt, MOMENTS, type Moment } from "./moments.ts";
import { World } from "./world.ts";

/**
 * `npm run kills -- [--count 5000] [--scenes 4]`: SIGKILL at random instants under load, in several scenes at once, every
 * second one with nftables. Prints a row a minute; the exit code is 1 where anything was not as it should be.
 */

const { values } = parseArgs({
  options: { count: { type: "string", default: "100" }, scenes: { type: "string", default: "4" } },
});
const count = Number(values.count);
const scenes = Number(values.scenes);

/** How often each comes up, in a hundred. What runs a command takes long, so it is rare. */
const SHARES: Readonly<Record<Moment, number>> = {
  start: 50,
  load: 27,
  reload: 7,
  hangups: 6,
  device: 4,
  rotate: 3,
  "guard off": 1,
  "guard on": 1,
  "guard confirm": 1,
};
const deck = MOMENTS.flatMap((moment) => Array.from({ length: SHARES[moment] }, () => moment));

const kills = new Map<string, number>();
const totals = { kills: 0, packets: 0, confirmed: 0, grants: 0, replays: 0 };
const problems: string[] = [];
let left = count;
let stalls = 0;
const worlds = new Set<World>();

function done(world: World): void {
  worlds.delete(world);
  for (const key of ["packets", "confirmed", "grants", "replays"] as const) totals[key] += world[key];
}

/** The machine stood still for 20 seconds: nothing is known, so nothing is counted. */
function isStall(why: string): boolean {
  return /timed out|no answer in time|did not say within/.test(why);
}

function giveUp(error: unknown): undefined {
  const why = error instanceof Error ? error.message : String(error);
  if (!isStall(why)) throw error;
  stalls++;
  console.log(`given up, the machine is too slow: ${why.split("\n")[0]?.slice(0, 300)}`);
}

async function run(index: number): Promise<void> {
  const backend = BACKENDS[index % BACKENDS.length] ?? "iptables";
  while (left > 0 && problems.length < 20) {
    const made = await World.create(backend).catch(giveUp);
    if (made === undefined) continue;
    await using world = made;
    worlds.add(world);
    let moment: Moment = "load";
    try {
      while (left > 0) {
        moment = deck[Math.floor(Math.random() * deck.length)] ?? "load";
        await killAt(world, moment);
        left--;
        totals.kills++;
        const name = `${moment}, ${backend}`;
        kills.set(name, (kills.get(name) ?? 0) + 1);
      }
      await world.start();
      // The trail's chain has to hold after all that, and every daemon to have written to it.
      await world.scene.daemon.must("events", "--verify");
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (isStall(why)) {
        giveUp(error);
        done(world);
        continue;
      }
      const said = world.scene.daemon.process;
      problems.push(`${backend}, ${moment}: ${why}`);
      console.log(`PROBLEM ${backend}, ${moment}: ${why}\n${said.stderr}${said.stdout.slice(-6_000)}`);
    }
    done(world);
  }
}

const began = performance.now();
function print(): void {
  const sum = (key: "packets" | "confirmed" | "grants" | "replays"): number =>
    [...worlds].reduce((all, world) => all + world[key], totals[key]);
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  console.log(
    `${minutes} min: ${totals.kills} kills, ${sum("packets")} packets, ${sum("confirmed")} confirmed, ` +
      `${sum("grants")} grants, ${sum("replays")} replays, ${problems.length} problems, ${stalls} scenes given up`,
  );
}
const timer = setInterval(print, 60_000);
await Promise.all(Array.from({ length: scenes }, (_, index) => run(index)));
clearInterval(timer);
print();
for (const [name, times] of [...kills].sort(([a], [b]) => a.localeCompare(b)))
  console.log(`${name.padEnd(28)}${String(times).padStart(6)}`);
console.log(problems.length === 0 ? "all as it should be" : `PROBLEM: ${problems.join("; ")}`);
process.exitCode = problems.length === 0 ? 0 : 1;
