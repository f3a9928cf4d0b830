import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { DEFAULT_SPA_PORT } from "../../shared/constants.ts";
import { Scene } from "../lab/scene.ts";
import type { Order, Timings } from "../lab/timing-main.ts";
import { quantile, rankTest } from "../support/rank-test.ts";

/**
 * What a stranger can learn from time: nothing answers his packets, so he looks at how long other answers of the machine
 * take after them. TOCK_TIMING=10000 measures with so many samples a kind and prints what they tell apart; by default
 * there are a few, for the sake of the run: no figure of a busy machine decides whether this passes. Where there is more
 * than one processor the stranger has one and the daemon another, as on two machines; TOCK_TIMING_SHARED=1 lets them share.
 */
const samples = Number(process.env["TOCK_TIMING"] ?? 5);
const isApart = availableParallelism() > 1 && process.env["TOCK_TIMING_SHARED"] !== "1";
const MAIN = fileURLToPath(new URL("../lab/timing-main.ts", import.meta.url));

test(
  "packets that get further than others are not answered either, and what can be timed is measured",
  async () => {
    await using scene = await Scene.set({}, [8080]);
    const link = await scene.daemon.addDevice("alice/laptop", "--static");
    const owner = "192.0.2.200";
    await scene.stranger.addAddress(owner);
    const order: Order = {
      link,
      server: scene.server.address.v4,
      port: DEFAULT_SPA_PORT,
      openPort: 8080,
      stranger: scene.stranger.address.v4,
      owner,
      samples,
    };
    const timeout = 60_000 + samples * 1_000;
    if (isApart) await scene.server.must(["taskset", "-acp", "1", String(scene.daemon.process.pid)]);
    const pinned = isApart ? (["taskset", "-c", "0"] as const) : (["env"] as const);
    const output = await scene.stranger.must([...pinned, process.execPath, MAIN], {
      input: JSON.stringify(order),
      timeout,
    });
    const { micros, answered, lost } = JSON.parse(output) as Timings;
    expect(answered, "answers to the stranger").toBe(0);
    expect(lost, "probes without an answer").toBeLessThan(samples);
    for (const [probe, byKind] of Object.entries(micros)) {
      const kinds = Object.entries(byKind);
      for (const [index, [kind, sample]] of kinds.entries()) {
        expect(sample.length, `${probe} after ${kind}`).toBeGreaterThan(samples / 2);
        const figures = [0.1, 0.5, 0.9].map((part) => quantile(sample, part).toFixed(1)).join(" / ");
        const against = kinds.slice(0, index).map(([other, before]) => {
          const { effect, p } = rankTest(before, sample);
          return `${other}: ${effect.toFixed(3)} (p ${p.toExponential(1)})`;
        });
        if (samples > 100)
          console.log(`${probe} | ${kind} | ${sample.length} | ${figures} | ${against.join("; ")}`);
      }
    }
  },
  120_000 + samples * 1_000,
);
