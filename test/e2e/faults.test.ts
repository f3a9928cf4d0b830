import { STEP_MILLIS } from "../../shared/constants.ts";
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { must } from "../lab/exec.ts";
import { udpFrame } from "../lab/frame.ts";
import type { Device } from "../lab/device.ts";
import { tockd } from "../lab/programs.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { eventually, sleep } from "../lab/wait.ts";

/** A machine's bad days. Afterwards nothing is open that should not be, and the daemon is back in service by itself. */

/** Seconds more that the daemon is stopped for: 120 is as long as a suspended machine. */
const SUSPENDED = Number(process.env["TOCK_SUSPEND"] ?? 2);

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  let device: Device;

  beforeAll(async () => {
    scene = await Scene.set({ backend, services: { ssh: { ports: ["tcp/22"], ttl: "3s" } } });
    device = await scene.device("alice/laptop");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const shut = async (): Promise<void> => {
    for (const family of FAMILIES) await scene.shuts(scene.client, family);
  };
  /** A packet may fall into the gap; a client sends again. */
  const opensAgain = async (): Promise<void> => {
    for (const family of FAMILIES) {
      await eventually(`it opens again over IPv${family}`, async () => {
        await scene.send(scene.client, family, device.packet());
        return scene.sees(scene.client, family);
      });
    }
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    expect(await scene.sees(scene.stranger, 6)).toBe(false);
  };

  test("stopped for 5 s with a grant open: it ends on time, and what came meanwhile is seen afterwards", async () => {
    await opensAgain();
    scene.daemon.process.signal("SIGSTOP");
    await scene.shuts(scene.client, 4);
    await scene.shuts(scene.client, 6);
    const junk = Array.from({ length: 3_000 }, (_, index) =>
      udpFrame(
        { mac: scene.client.mac, address: scene.client.address.v4, port: 1024 + index },
        { mac: scene.server.mac, ...scene.spa(4) },
        Buffer.alloc(144, index),
      ),
    );
    await (await scene.client.agent()).frames(scene.client.device, junk);
    await sleep(SUSPENDED * 1_000);
    await scene.send(scene.client, 4, device.packet());
    expect(await scene.seenByAnyone()).toBe(false);
    scene.daemon.process.signal("SIGCONT");
    // The kernel knows the tags of the step to come and no more. Clients ask again.
    if (SUSPENDED * 1_000 < STEP_MILLIS) await scene.opens(scene.client, 4);
    else await opensAgain();
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    await shut();
    await opensAgain();
    await shut();
  });

  test("an interface that goes down, comes back, and has another name", async () => {
    const { namespace, address } = scene.server;
    const link = (...args: string[]): Promise<string> =>
      must(["ip", "-n", namespace, "link", "set", ...args]);
    const addresses = async (name: string): Promise<void> => {
      const kept = await must(["ip", "-n", namespace, "-6", "addr", "show", "dev", name]);
      if (kept.includes(`${address.v6}/`)) return;
      await must(["ip", "-n", namespace, "addr", "add", `${address.v6}/64`, "dev", name, "nodad"]);
    };
    await link("eth0", "down");
    await sleep(300);
    await link("eth0", "up");
    await addresses("eth0");
    await opensAgain();
    await shut();
    await link("eth0", "down");
    await link("eth0", "name", "wan7");
    await link("wan7", "up");
    await addresses("wan7");
    await opensAgain();
    await shut();
    await link("wan7", "down");
    await link("wan7", "name", "eth0");
    await link("eth0", "up");
    await addresses("eth0");
  });

  test("an interface that is new, and one that is gone", async () => {
    const { namespace } = scene.server;
    const link = (...args: string[]): Promise<string> => must(["ip", "-n", namespace, "link", ...args]);
    await link("add", "extra0", "type", "veth", "peer", "name", "extra1");
    await link("set", "extra0", "up");
    await opensAgain();
    await link("del", "extra0");
    await shut();
    await opensAgain();
    await shut();
  });

  test("an address that is new, and one that is gone", async () => {
    const { namespace } = scene.server;
    const address = (verb: string): Promise<string> =>
      must(["ip", "-n", namespace, "addr", verb, "192.0.2.77/24", "dev", "eth0"]);
    await address("add");
    const agent = await scene.client.agent();
    const to = { address: "192.0.2.77", port: scene.spa(4).port };
    await eventually("it opens by the new address", async () => {
      await agent.udp(to, device.packet());
      return (await agent.probe(to.address, 22, { timeout: 300 })) === "open";
    });
    expect(await (await scene.stranger.agent()).probe(to.address, 22, { timeout: 300 })).toBe("filtered");
    await address("del");
    await shut();
    await opensAgain();
    await shut();
  });

  test("rules replaced as a whole by others, as their own services do at a reload", async () => {
    const empty = ["mangle", "raw", "filter"].map((table) => `*${table}\nCOMMIT\n`).join("");
    const own =
      "flush ruleset\ntable inet own { chain input { type filter hook input priority 0; policy accept; }; }\n";
    for (const [argv, input] of [
      [["iptables-restore"], empty],
      [["ip6tables-restore"], empty],
      [["nft", "-f", "-"], own],
    ] as const) {
      await scene.server.must(argv, { input });
      await shut();
      for (const family of FAMILIES) await scene.shuts(scene.stranger, family);
      await opensAgain();
      await shut();
    }
    await scene.server.must(["nft", "delete", "table", "inet", "own"]);
  });

  test("a configuration replaced by rubbish, and a hangup: it goes on as before, and so does what comes after", async () => {
    const right = readFileSync(scene.daemon.config);
    writeFileSync(scene.daemon.config, "no = [configuration");
    scene.daemon.process.signal("SIGHUP");
    await opensAgain();
    await shut();
    writeFileSync(scene.daemon.config, right);
    expect((await scene.daemon.command("reload")).code).toBe(0);
    await opensAgain();
    await shut();
  });

  test("rules flushed by others again and again under load", async () => {
    const over = new AbortController();
    const load = async (): Promise<void> => {
      while (!over.signal.aborted) await scene.send(scene.client, 4, device.packet(), { wait: 5 });
    };
    const loading = load();
    for (let round = 0; round < 6; round++) {
      await scene.server.run(["nft", "flush", "ruleset"]);
      await scene.server.run(["iptables", "-t", "mangle", "-F"]);
      await sleep(150);
    }
    over.abort();
    await loading;
    for (const family of FAMILIES) await scene.shuts(scene.stranger, family);
    await shut();
    await opensAgain();
    await shut();
  });

  test("without the right to change the firewall it does not start, says why, and nothing is open", async () => {
    await scene.daemon.stop();
    const bounded = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"] as const;
    const argv = tockd("run", "--config", scene.daemon.config);
    const started = scene.server.start([...bounded, ...argv]);
    expect((await started.exited).code).toBe(1);
    expect(started.stderr).toMatch(/^tock: error: /m);
    expect(started.stderr).not.toMatch(/\n\s+at /);
    expect(await scene.seenByAnyone()).toBe(false);
    await scene.daemon.start();
    await opensAgain();
    await shut();
  });
});
