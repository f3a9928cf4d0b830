import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { GuardPlan } from "../../server/core/firewall.ts";
import { type BackendName, ports, RemoteFirewall, service } from "../lab/firewall.ts";
import type { Family, Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { eventually } from "../lab/wait.ts";

const families: readonly Family[] = [4, 6];
const backends: readonly BackendName[] = ["iptables", "iptables-legacy", "nftables"];

const web = service("web", "tcp/8000", "tcp/8010-8011", "udp/8000");
const other = service("other-16_letters", "tcp/8020");
const plan: GuardPlan = { services: [web, other], silent: [ports("udp/62201")] };

describe.each(backends)("grants of %s", (backend) => {
  let lab: Lab;
  let server: Host;
  let client: Host;
  let stranger: Host;
  let firewall: RemoteFirewall;

  beforeAll(async () => {
    lab = await Lab.create();
    [server, client, stranger] = await lab.hosts("server", "client", "stranger");
    const agent = await server.agent();
    for (const port of [8000, 8010, 8020]) await agent.listen("tcp", port);
    await (await RemoteFirewall.start(server, "dry-run")).serve(8011);
    await agent.listen("udp", 8000);
  });
  afterAll(() => lab[Symbol.asyncDispose]());
  beforeEach(async () => {
    firewall = await RemoteFirewall.start(server, backend);
    await firewall.on(plan);
  });
  afterEach(async () => {
    await firewall.off();
    await firewall.process.stop();
  });

  const isOpen = async (from: Host, at: string, port: number): Promise<boolean> =>
    (await (await from.agent()).probe(at, port, { timeout: 150 })) === "open";

  describe.each(families)("over IPv%s", (family) => {
    test("open one service to one source, and close again", async () => {
      const at = server.at(family);
      await firewall.open(web, client.at(family), 60);
      for (const port of [8000, 8010, 8011]) expect(await isOpen(client, at, port), `${port}`).toBe(true);
      const udp = { address: at, port: 8000 };
      expect(await (await client.agent()).udp(udp, Buffer.from("?"), { wait: 100 })).toEqual(["3f"]);
      expect(await isOpen(client, at, 8020)).toBe(false);
      expect(await isOpen(stranger, at, 8000)).toBe(false);
      expect(await isOpen(client, server.at(family === 4 ? 6 : 4), 8000)).toBe(false);
      await firewall.close(web, stranger.at(family));
      expect(await isOpen(client, at, 8000)).toBe(true);
      await firewall.close(web, client.at(family));
      await firewall.close(web, client.at(family));
      expect(await isOpen(client, at, 8000)).toBe(false);
    });

    test("end by the kernel's clock though the daemon was killed, and the session goes on", async () => {
      const at = server.at(family);
      const here = await RemoteFirewall.start(client, "dry-run");
      await firewall.open(web, client.at(family), 2);
      await here.dial(at, 8011);
      await firewall.kill();
      expect(await isOpen(client, at, 8000)).toBe(true);
      const took = await eventually("the grant ends", async () => !(await isOpen(client, at, 8000)));
      expect(took).toBeLessThan(10_000);
      expect(await here.say("still here")).toBe("still here");
      await here.process.stop();
      firewall = await RemoteFirewall.start(server, backend);
      expect(await firewall.state(plan)).toBe("on");
      expect(await firewall.list()).toEqual([]);
    });

    test("are extended when asked again, never shortened, never doubled; a restart changes nothing", async () => {
      const source = client.at(family);
      await firewall.open(web, source, 20);
      await firewall.open(web, source, 100);
      await firewall.open(web, source, 10);
      const [grant, ...more] = await firewall.list();
      expect(more).toEqual([]);
      expect(grant).toMatchObject({ service: "web", source });
      expect(grant?.remaining).toBeGreaterThan(90_000);
      expect(grant?.remaining).toBeLessThanOrEqual(100_000);
      await firewall.reopen();
      await firewall.on(plan);
      await firewall.open(web, source, 30);
      expect((await firewall.list())[0]?.remaining).toBeGreaterThan(85_000);
      await firewall.open(web, source, 200);
      const after = await firewall.list();
      expect(after).toHaveLength(1);
      expect(after[0]?.remaining).toBeGreaterThan(190_000);
      expect(await elements(server, backend, `tock${family}-web`)).toBe(1);
    });

    test("of services that stay are kept when the plan changes", async () => {
      const at = server.at(family);
      await firewall.open(web, client.at(family), 60);
      await firewall.open(other, client.at(family), 60);
      const moved = service("web", "tcp/8000", "tcp/8020");
      await firewall.on({ services: [moved], silent: [] });
      expect(await firewall.state({ services: [moved], silent: [] })).toBe("on");
      expect(await firewall.state(plan)).toBe("damaged");
      expect(await isOpen(client, at, 8000)).toBe(true);
      expect(await isOpen(client, at, 8020)).toBe(true);
      expect(await isOpen(stranger, at, 8020)).toBe(false);
      expect(await isOpen(stranger, at, 8010)).toBe(true);
      expect((await firewall.list()).map((grant) => grant.service)).toEqual(["web"]);
      await firewall.on(plan);
      expect(await isOpen(client, at, 8000)).toBe(true);
      expect(await isOpen(client, at, 8020)).toBe(false);
    });
  });

  test("of many sources are listed with the time they have", async () => {
    for (let index = 1; index <= 300; index++) {
      await firewall.open(web, `10.0.${index >> 8}.${index & 255}`, 100 + index);
      await firewall.open(other, `2001:db8:1::${index.toString(16)}`, 100 + index, { connections: 2 });
    }
    const list = await firewall.list();
    expect(list).toHaveLength(600);
    const found = list.find((grant) => grant.source === "2001:db8:1::12c");
    expect(found?.service).toBe("other-16_letters");
    expect(found?.remaining).toBeGreaterThan(380_000);
    expect(found?.remaining).toBeLessThanOrEqual(400_000);
  });

  test("are refused when the guard is off, with a reason", async () => {
    await firewall.off();
    const refused = firewall.open(web, client.address.v4, 30);
    await expect(refused).rejects.toMatchObject({ code: "firewall", message: /ENOENT/, hint: /guard on/ });
    await expect(firewall.open(web, client.address.v4, 0)).rejects.toMatchObject({ code: "firewall" });
    expect(await firewall.list()).toEqual([]);
  });

  test("and the guard live on when the daemon is killed; the next one takes them over", async () => {
    await firewall.open(web, client.address.v4, 60);
    await firewall.kill();
    expect(await isOpen(stranger, server.address.v4, 8000)).toBe(false);
    expect(await isOpen(client, server.address.v4, 8000)).toBe(true);
    firewall = await RemoteFirewall.start(server, backend);
    expect(await firewall.state(plan)).toBe("on");
    await firewall.on(plan);
    expect(await isOpen(client, server.address.v4, 8000)).toBe(true);
    await firewall.close(web, client.address.v4);
    expect(await isOpen(client, server.address.v4, 8000)).toBe(false);
  });
});

/** How many elements the kernel's set has. */
async function elements(host: Host, backend: BackendName, name: string): Promise<number> {
  if (backend === "nftables") {
    const listed = await host.must(["nft", "-j", "list", "set", "inet", "tock", name]);
    const { nftables } = JSON.parse(listed) as { nftables: { set?: { elem?: unknown[] } }[] };
    return nftables.flatMap((each) => each.set?.elem ?? []).length;
  }
  const listed = await host.must(["ipset", "list", name]);
  return listed.slice(listed.indexOf("Members:")).trim().split("\n").length - 1;
}
