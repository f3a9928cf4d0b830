import { expect, test } from "vitest";
import type { Seconds } from "../../shared/brand.ts";
import { udpFrame } from "../lab/frame.ts";
import { Scene } from "../lab/scene.ts";
import { eventually, sleep } from "../lab/wait.ts";

/**
 * SIGKILL at a random instant under load, again and again (`TOCK_KILLS`, by default a few). Every packet asks for another
 * lifetime, so that the audit trail tells them apart.
 */

const KILLS = Number(process.env["TOCK_KILLS"] ?? 8);
const FIRST_LIFETIME = 2_000;
/** A lifetime has 16 bits: after so many packets the numbers begin again, long after the packets that had them. */
const LIFETIMES = 60_000;

test(
  `${KILLS} times SIGKILL under load: nothing opens twice or for a stranger, what was confirmed stays, and it is back by itself`,
  async () => {
    const services = { ssh: { ports: ["tcp/22"], ttl: "1h", max_ttl: "18h" } };
    await using scene = await Scene.set({ services });
    const device = await scene.device("alice/laptop");
    const agent = await scene.client.agent();
    const granted = new Map<number, number>();
    let answered: Buffer[] = [];
    let sent = 0;
    let confirmed = 0;

    const count = (): void => {
      for (const line of scene.daemon.log()) {
        if (line["msg"] !== "granted") continue;
        const lifetime = Number(line["lifetime"]);
        granted.set(lifetime, (granted.get(lifetime) ?? 0) + 1);
      }
    };
    const junk = Array.from({ length: 200 }, (_, index) =>
      udpFrame(
        { mac: scene.stranger.mac, address: scene.stranger.address.v4, port: 1000 + index },
        { mac: scene.server.mac, address: scene.server.address.v4, port: 62_201 },
        Buffer.alloc(144, index),
      ),
    );

    for (let kill = 0; kill < KILLS; kill++) {
      const earlier = answered;
      answered = [];
      const killed = new AbortController();
      const load = async (): Promise<void> => {
        while (!killed.signal.aborted) {
          const lifetime = (FIRST_LIFETIME + (sent++ % LIFETIMES)) as Seconds;
          const packet = device.packet({ lifetime, replyWanted: true });
          const replies = await agent.udp(scene.spa(4), packet, { wait: 25 });
          if (replies.length > 0) answered.push(packet);
        }
      };
      const flood = (await scene.stranger.agent()).frames(scene.stranger.device, junk);
      const loading = load();
      // The first instants after a packet was answered are as likely as any.
      await eventually("a packet is answered", () => answered.length > 0);
      await sleep(Math.random() * 60);
      await scene.daemon.stop("SIGKILL");
      killed.abort();
      await Promise.all([loading, flood]);
      count();
      confirmed += answered.length;

      expect(await scene.sees(scene.client, 4), `kill ${kill}: a confirmed grant`).toBe(true);
      await scene.daemon.start();
      expect(scene.daemon.log().some((line) => line["msg"] === "journal not trusted")).toBe(false);
      // Everything that was answered was used up, before this kill and the one before.
      for (const packet of [...earlier, ...answered]) {
        expect(await scene.send(scene.stranger, 4, packet)).toEqual([]);
        await agent.udp(scene.spa(4), packet, { wait: 0 });
      }
      const marker = device.packet({ type: "ping", service: undefined, replyWanted: true });
      await eventually(`kill ${kill}: back in service`, async () => {
        return (await agent.udp(scene.spa(4), marker, { wait: 100 })).length === 1;
      });
      expect(await scene.sees(scene.stranger, 4, 22, 100), `kill ${kill}: a stranger`).toBe(false);
      expect(await scene.sees(scene.stranger, 6, 22, 100), `kill ${kill}: a stranger over IPv6`).toBe(false);
      for (const line of scene.daemon.log())
        expect(line["msg"], `kill ${kill}: a replay opened`).not.toBe("granted");
    }

    if (sent <= LIFETIMES)
      for (const [lifetime, times] of granted) expect(times, `lifetime ${lifetime}`).toBe(1);
    console.log(`${KILLS} kills, ${sent} packets, ${confirmed} answered, ${granted.size} grants on record`);
    expect(granted.size).toBeGreaterThanOrEqual(KILLS);
  },
  60_000 + KILLS * 15_000,
);
