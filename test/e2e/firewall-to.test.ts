import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { GuardPlan } from "../../server/core/firewall.ts";
import type { Service } from "../../server/core/grant.ts";
import type { Port } from "../../shared/brand.ts";
import { Capture } from "../lab/capture.ts";
import type { Argv } from "../lab/exec.ts";
import { type BackendName, RemoteFirewall, service } from "../lab/firewall.ts";
import type { Family, Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { everything } from "../lab/ruleset.ts";
import { FAMILIES } from "../lab/scene.ts";
import { ticking } from "../lab/ticking.ts";
import { eventually } from "../lab/wait.ts";

/**
 * Ports that lead to a host behind the machine: `to`. The machine has listeners of its own on the same ports, which say nothing: whoever
 * finds one has come where nobody should; the host within echoes.
 */

const backends: readonly BackendName[] = ["iptables", "iptables-legacy", "nftables"];
const ECHO = 2222;
const TICKS = 2223;
const UDP = 2224;
/** A connection that was cut is sent again by the kernel within for minutes: not an answer to anything. */
const ANSWERS = `not tcp port ${TICKS}`;

describe.each(backends)("ports that lead to another host by %s", (backend) => {
  const variant = backend === "iptables-legacy" ? "-legacy" : "-nft";
  let lab: Lab;
  let client: Host;
  let stranger: Host;
  let gateway: Host;
  let inner: Host;
  let here: RemoteFirewall;
  let firewall: RemoteFirewall;
  let shell: Service;
  let ticks: Service;
  let names: Service;
  let plan: GuardPlan;

  beforeAll(async () => {
    lab = await Lab.create();
    [client, stranger] = await lab.hosts("client", "stranger");
    const behind = await lab.hostsBehindNat("gateway", "inner");
    gateway = behind.gateway;
    [inner] = behind.hosts as [Host];
    const agent = await gateway.agent();
    for (const port of [ECHO, TICKS]) await agent.listen("tcp", port);
    await (await inner.agent()).listen("udp", 53);
    await (await RemoteFirewall.start(inner, "dry-run")).serve(22);
    here = await RemoteFirewall.start(client, "dry-run");
    const leads = (one: Service, port: number): Service => ({
      ...one,
      to: FAMILIES.map((family) => ({
        protocol: one.ports[0]?.protocol ?? "tcp",
        family,
        address: inner.at(family),
        port: port as Port,
      })),
    });
    shell = leads(service("shell", `tcp/${ECHO}`), 22);
    // Within the port is the same: as the gateway masquerades, a packet from there looks like the connection that was led.
    ticks = leads(service("ticks", `tcp/${TICKS}`), TICKS);
    names = leads(service("names", `udp/${UDP}`), 53);
    plan = { services: [shell, ticks, names, service("web", "tcp/8000")], silent: [] };
    // Tables that are there once they were looked at.
    for (const program of ["iptables-legacy", "ip6tables-legacy"]) {
      for (const table of ["mangle", "nat", "filter"]) await gateway.must([program, "-t", table, "-S"]);
    }
  });
  afterAll(() => lab[Symbol.asyncDispose]());
  beforeEach(async () => {
    firewall = await RemoteFirewall.start(gateway, backend);
    await firewall.on(plan);
    expect(await firewall.state(plan)).toBe("on");
  });
  afterEach(async () => {
    if (!firewall.process.running) firewall = await RemoteFirewall.start(gateway, backend);
    await firewall.off();
    await firewall.process.stop();
  });

  const tool = (family: 4 | 6, ...args: string[]): Argv => [
    `${family === 4 ? "iptables" : "ip6tables"}${variant}`,
    ...args,
  ];

  const probeOver = async (family: Family, from: Host): Promise<string> =>
    (await from.agent()).probe(gateway.at(family), ECHO, { timeout: 200 });
  const landsOver = async (family: Family): Promise<void> => {
    await here.dial(gateway.at(family), ECHO);
    expect(await here.say("who is there")).toBe("who is there");
  };

  describe.each(FAMILIES)("over IPv%s", (family) => {
    const probe = (from: Host): Promise<string> => probeOver(family, from);
    const lands = (): Promise<void> => landsOver(family);

    test("are shut, lead there with a grant, and shut again; what stands goes on", async () => {
      expect(await probe(client)).toBe("filtered");
      await firewall.open(shell, client.at(family), 60);
      await lands();
      expect(await probe(stranger)).toBe("filtered");
      await firewall.close(shell, client.at(family));
      await firewall.open(shell, client.at(family), 2);
      await eventually("the grant ends", async () => (await probe(client)) === "filtered");
      expect(await here.say("still there")).toBe("still there");
    });

    test("lead datagrams too", async () => {
      const asks = async (): Promise<string[]> =>
        (await client.agent()).udp({ address: gateway.at(family), port: UDP }, Buffer.from("?"), {
          wait: 200,
        });
      expect(await asks()).toEqual([]);
      await firewall.open(names, client.at(family), 60);
      expect(await asks()).toEqual(["3f"]);
    });

    test("count a connection once", async () => {
      await firewall.open(shell, client.at(family), 60, { connections: 1 });
      await lands();
      expect(await probe(client)).toBe("filtered");
      expect(await here.say("mine")).toBe("mine");
    });

    test("lead the named source port alone, and networks that need no grant", async () => {
      await firewall.open(shell, client.at(family), 60, { sourcePort: 40_001 });
      expect(await probe(client)).toBe("filtered");
      await here.dial(gateway.at(family), ECHO, 40_001);
      expect(await here.say("mine")).toBe("mine");
      await firewall.close(shell, client.at(family));
      await firewall.on({ ...plan, allow: [client.at(family)] });
      expect(await probe(stranger)).toBe("filtered");
      await lands();
    });

    test("are cut there too", async () => {
      await firewall.open(ticks, client.at(family), 60);
      const to = { address: gateway.at(family), port: TICKS };
      await using tick = await ticking(inner, client, { address: inner.at(family), port: TICKS }, to);
      await firewall.close(ticks, client.at(family));
      await tick.more();
      expect(await firewall.cut(ticks, client.at(family))).toBeGreaterThanOrEqual(1);
      await tick.stops();
    });

    if (backend !== "nftables") {
      test("open though the machine forwards nothing by itself", async () => {
        await gateway.must(tool(family, "-P", "FORWARD", "DROP"));
        await firewall.open(shell, client.at(family), 60);
        await lands();
        await gateway.must(tool(family, "-P", "FORWARD", "ACCEPT"));
      });

      test.each(["nat", "filter", "mangle"])(
        "lead nobody else anywhere when %s is flushed, and are put back",
        async (table) => {
          await firewall.open(shell, client.at(family), 60);
          await gateway.must(tool(family, "-P", "FORWARD", "DROP"));
          await gateway.must(tool(family, "-t", table, "-F"));
          await using capture = await Capture.start(inner, ANSWERS);
          await probe(stranger);
          expect(await capture.sentByHost(inner)).toEqual([]);
          // Without its way to the other host the port is not this machine's.
          if (table !== "mangle") expect(await probe(client)).toBe("filtered");
          expect(await firewall.state(plan)).toBe("damaged");
          await firewall.keep(plan);
          await eventually("it is put back", async () => (await firewall.state(plan)) === "on");
          await lands();
          expect(await probe(stranger)).toBe("filtered");
          await gateway.must(tool(family, "-P", "FORWARD", "ACCEPT"));
        },
      );
    } else {
      test.each(["to-others", "input", "guard"])(
        "lead nobody else anywhere when the chain %s is flushed, and are put back",
        async (chain) => {
          await firewall.open(shell, client.at(family), 60);
          await firewall.kill();
          await gateway.must(["nft", "flush", "chain", "inet", "tock", chain]);
          await using capture = await Capture.start(inner, ANSWERS);
          await probe(stranger);
          expect(await capture.sentByHost(inner)).toEqual([]);
          if (chain === "to-others") expect(await probe(client)).toBe("filtered");
          firewall = await RemoteFirewall.start(gateway, backend);
          expect(await firewall.state(plan)).toBe("damaged");
          await firewall.on(plan);
          expect(await firewall.state(plan)).toBe("on");
          await lands();
          expect(await probe(stranger)).toBe("filtered");
        },
      );
    }
  });

  test("shut by themselves when the daemon is dead", async () => {
    for (const family of FAMILIES) await firewall.open(shell, client.at(family), 6);
    await firewall.kill();
    for (const family of FAMILIES) await landsOver(family);
    for (const family of FAMILIES) {
      await eventually("the grant ends", async () => (await probeOver(family, client)) === "filtered");
    }
    expect(await here.say("still there")).toBe("still there");
  });

  test("are this machine's own when a trial ends, without a daemon", async () => {
    for (const family of FAMILIES) await firewall.open(shell, client.at(family), 60);
    const now = Math.floor(Date.now() / 1000);
    await firewall.on({ ...plan, trial: { start: now - 2, end: now + 8 } });
    await firewall.kill();
    for (const family of FAMILIES) await landsOver(family);
    await using capture = await Capture.start(inner, ANSWERS);
    for (const family of FAMILIES) {
      await eventually("the trial ends", async () => (await probeOver(family, stranger)) === "open");
      expect(await probeOver(family, client)).toBe("open");
    }
    expect(await capture.sentByHost(inner)).toEqual([]);
  });

  test("leave nothing behind, with the guard or without", async () => {
    await firewall.off();
    const before = await everything(gateway);
    await firewall.on({ ...plan, services: [service("web", "tcp/8000")] });
    const plain = await everything(gateway);
    await firewall.on(plan);
    await firewall.open(shell, client.at(4), 30, { connections: 1 });
    expect(await everything(gateway)).toContain(inner.at(4));
    await firewall.on({ ...plan, services: [service("web", "tcp/8000")] });
    expect(await everything(gateway)).toBe(plain);
    await firewall.on(plan);
    await firewall.off();
    expect(await everything(gateway)).toBe(before);
  });

  test("are nobody's after a change of the backend", async () => {
    await firewall.open(shell, client.at(4), 60);
    // A daemon that runs owns its table, and the kernel lets nobody else take it out.
    await firewall.kill();
    const next = await RemoteFirewall.start(gateway, backend === "nftables" ? "iptables" : "nftables");
    await next.on({ ...plan, services: [service("web", "tcp/8000")] });
    expect(await everything(gateway)).not.toContain(inner.at(4));
    await next.off();
    await next.process.stop();
  });
});
