import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { GuardPlan } from "../../server/core/firewall.ts";
import type { Service } from "../../server/core/grant.ts";
import { type BackendName, RemoteFirewall, service } from "../lab/firewall.ts";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { FAMILIES } from "../lab/scene.ts";
import { ticking } from "../lab/ticking.ts";
import { eventually } from "../lab/wait.ts";

/** Ports of hosts behind the machine, in packets that it routes: `forward`. */

const backends: readonly BackendName[] = ["iptables", "iptables-legacy", "nftables"];

describe.each(backends)("routed ports, guarded by %s", (backend) => {
  let lab: Lab;
  let client: Host;
  let stranger: Host;
  let gateway: Host;
  let inner: Host;
  let other: Host;
  let here: RemoteFirewall;
  let firewall: RemoteFirewall;
  let listed: Service;
  const web = service("web", "tcp/8000-8001", "tcp/8003", "udp/8000");

  beforeAll(async () => {
    lab = await Lab.create();
    [client, stranger] = await lab.hosts("client", "stranger");
    const behind = await lab.hostsBehindNat("gateway", "inner", "other");
    gateway = behind.gateway;
    [inner, other] = behind.hosts as [Host, Host];
    for (const host of [client, stranger]) {
      await host.must(["ip", "route", "add", "198.51.100.0/24", "via", gateway.address.v4]);
      await host.must(["ip", "-6", "route", "add", "fd00:db8::/64", "via", gateway.address.v6]);
    }
    for (const host of [client, gateway, inner, other]) {
      const agent = await host.agent();
      for (const port of [8000, 8002]) await agent.listen("tcp", port);
      await agent.listen("udp", 8000);
    }
    await (await RemoteFirewall.start(inner, "dry-run")).serve(8001);
    here = await RemoteFirewall.start(client, "dry-run");
    listed = { ...web, forward: [inner.at(4), `${inner.at(6)}/128`] };
  });
  afterAll(() => lab[Symbol.asyncDispose]());
  beforeEach(async () => {
    firewall = await RemoteFirewall.start(gateway, backend);
  });
  afterEach(async () => {
    await firewall.off();
    await firewall.process.stop();
  });

  const on = async (...services: Service[]): Promise<GuardPlan> => {
    const plan: GuardPlan = { services, silent: [] };
    await firewall.on(plan);
    expect(await firewall.state(plan)).toBe("on");
    return plan;
  };

  describe.each(FAMILIES)("over IPv%s", (family) => {
    const probe = async (from: Host, to: Host, port = 8000): Promise<string> =>
      (await from.agent()).probe(to.at(family), port, { timeout: 200 });
    const asks = async (from: Host, to: Host): Promise<string[]> =>
      (await from.agent()).udp({ address: to.at(family), port: 8000 }, Buffer.from("?"), { wait: 150 });

    test("of the networks named are shut, and nothing else is", async () => {
      expect(await probe(client, inner)).toBe("open");
      expect(await asks(client, inner)).toEqual(["3f"]);
      await on(listed);
      expect(await probe(client, inner)).toBe("filtered");
      expect(await asks(client, inner)).toEqual([]);
      expect(await probe(client, gateway)).toBe("filtered");
      expect(await probe(client, inner, 8002)).toBe("open");
      expect(await probe(client, other)).toBe("open");
      expect(await probe(inner, client)).toBe("open");
      expect(await asks(inner, client)).toEqual(["3f"]);
      expect(await probe(gateway, inner)).toBe("open");
    });

    test("open for the source of a grant alone, and shut when it ends; what stands goes on", async () => {
      await on(listed);
      await firewall.open(web, client.at(family), 60);
      await here.dial(inner.at(family), 8001);
      expect(await probe(client, inner)).toBe("open");
      expect(await asks(client, inner)).toEqual(["3f"]);
      expect(await probe(stranger, inner)).toBe("filtered");
      await firewall.close(web, client.at(family));
      await firewall.open(web, client.at(family), 2);
      await eventually("the grant ends", async () => (await probe(client, inner)) === "filtered");
      expect(await here.say("still there")).toBe("still there");
    });

    test("count a connection once", async () => {
      await on(listed);
      await firewall.open(web, client.at(family), 60, { connections: 2 });
      expect([await probe(client, inner), await probe(client, inner)]).toEqual(["open", "open"]);
      expect(await probe(client, inner)).toBe("filtered");
    });

    test("of every host are shut with true, those outside too", async () => {
      await on({ ...web, forward: true });
      expect(await probe(client, inner)).toBe("filtered");
      expect(await probe(client, other)).toBe("filtered");
      expect(await probe(inner, client)).toBe("filtered");
      expect(await probe(client, inner, 8002)).toBe("open");
      await firewall.open(web, client.at(family), 60);
      expect(await probe(client, other)).toBe("open");
    });

    test("are cut though the host within goes on speaking", async () => {
      await on(listed);
      await firewall.open(web, client.at(family), 60);
      await using tick = await ticking(inner, client, { address: inner.at(family), port: 8003 });
      await tick.more();
      await firewall.close(web, client.at(family));
      await tick.more();
      expect(await firewall.cut(web, client.at(family))).toBeGreaterThanOrEqual(1);
      await tick.stops();
    });

    test("are as they were when the key is taken away", async () => {
      await on(listed);
      await on(web);
      expect(await probe(client, inner)).toBe("open");
      expect(await probe(client, gateway)).toBe("filtered");
    });
  });
});
