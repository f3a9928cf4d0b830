import { expect, test } from "vitest";
import { killAt, MOMENTS } from "../kills/moments.ts";
import { World } from "../kills/world.ts";
import { BACKENDS } from "../lab/tock-server.ts";

/**
 * SIGKILL at a random instant under load, again and again (`TOCK_KILLS`, by default a few of each backend); `npm run kills`
 * does it by the thousand. After each: what had been confirmed is open, nothing else is, nothing that was used is taken again.
 */

const KILLS = Number(process.env["TOCK_KILLS"] ?? 4);

test.each(BACKENDS)(
  `%s: ${KILLS} times SIGKILL under load: nothing opens twice or for a stranger, what was confirmed stays, and it is back by itself`,
  async (backend) => {
    await using world = await World.create(backend);
    for (let kill = 0; kill < KILLS; kill++) {
      // Every second one while it starts; of the others most under load alone, as what runs a command takes long.
      const others = MOMENTS.slice(1);
      const turn = Math.floor(kill / 2) + (backend === "nftables" ? 2 : 0);
      const moment = kill % 2 === 1 ? "start" : (others[turn % others.length] ?? "load");
      await killAt(world, moment).catch((error: unknown) => {
        throw new Error(`kill ${kill}, ${moment}`, { cause: error });
      });
    }
    await world.start();
    await world.scene.daemon.must("events", "--verify");
    console.log(
      `${KILLS} kills, ${world.packets} packets, ${world.confirmed} confirmed, ${world.replays} replays`,
    );
    expect(world.confirmed).toBeGreaterThan(0);
    expect(world.replays).toBeGreaterThan(0);
  },
  60_000 + KILLS * 45_000,
);
