import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GuardPlan } from "../../server/core/firewall.ts";
import { type BackendName, ports, RemoteFirewall, service } from "../lab/firewall.ts";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";

/** Networks that never need to ask, as the kernel decides it. */

const backends: readonly BackendName[] = ["iptables", "iptables-legacy", "nftables"];
const web = service("web", "tcp/8000", "udp/8000");

describe.each(backends)("networks that the guard of %s always lets in", (backend) => {
  let lab: Lab;
  let server: Host;
  let office: Host;
  let stranger: Host;
  let firewall: RemoteFirewall;

  beforeAll(async () => {
    lab = await Lab.create();
    [server, office, stranger] = await lab.hosts("server", "office", "stranger");
    const agent = await server.agent();
    for (const port of [8000, 10_050]) await agent.listen("tcp", port);
    for (const port of [8000, 62_201]) await agent.listen("udp", port);
    firewall = await RemoteFirewall.start(server, backend);
    // One within the other, as it happens to people.
    const allow = FAMILIES.flatMap((family) => [
      `${office.at(family)}/${family === 4 ? 32 : 128}`,
      family === 4 ? "198.51.100.0/24" : "2001:db8:5::/48",
      family === 4 ? "198.51.100.7" : "2001:db8:5::7",
    ]);
    const silent = ["udp/62201", "tcp/10000-10099"].map(ports);
    const plan: GuardPlan = { services: [web], silent, allow };
    await firewall.on(plan);
    expect(await firewall.state(plan)).toBe("on");
    expect(await firewall.state({ ...plan, allow: allow.slice(1) })).toBe("damaged");
    // The rules have to do it alone.
    await firewall.kill();
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  describe.each(FAMILIES)("over IPv%s", (family) => {
    const asks = async (host: Host, port: number): Promise<string[]> =>
      (await host.agent()).udp({ address: server.at(family), port }, Buffer.from("?"), { wait: 150 });
    const probe = async (host: Host, port: number): Promise<string> =>
      (await host.agent()).probe(server.at(family), port, { timeout: 150 });

    test("reach every port of a service", async () => {
      expect(await probe(office, 8000)).toBe("open");
      expect(await asks(office, 8000)).toEqual(["3f"]);
    });

    test("see as little of the SPA port and the knock range as anybody", async () => {
      expect(await probe(office, 10_050)).toBe("filtered");
      expect(await asks(office, 62_201)).toEqual([]);
    });

    test("are no help to others", async () => {
      expect(await probe(stranger, 8000)).toBe("filtered");
      expect(await asks(stranger, 8000)).toEqual([]);
    });
  });
});

describe("[firewall] allow", () => {
  test("is taken by a reload, told by guard status and status, and comes back at boot with the last plan", async () => {
    const scene = await Scene.set();
    const { daemon, client, stranger } = scene;
    try {
      const allow = [client.at(4), `${client.at(6)}/128`];
      const told = [`${client.at(4)}/32`, `${client.at(6)}/128`];
      await daemon.must("guard", "on", "--no-confirm", "--unchecked");
      expect(await scene.seenByAnyone()).toBe(false);
      await daemon.configure({ tables: { firewall: { allow } } });
      await daemon.must("reload");
      for (const family of FAMILIES) {
        expect(await scene.sees(client, family)).toBe(true);
        expect(await scene.sees(stranger, family)).toBe(false);
      }
      expect(JSON.parse(await daemon.must("guard", "status", "--json"))).toEqual({
        guard: "on",
        trial: null,
        allow: told,
        other: null,
      });
      expect(await daemon.must("guard", "status")).toBe(
        `guard: on\nopen without a grant to: ${told.join(", ")}\n`,
      );
      expect((await daemon.command("status")).stdout).toContain(
        `open to  ${told.join(", ")}, without a grant\n`,
      );

      await daemon.stop("SIGKILL");
      expect(await scene.sees(client, 4)).toBe(true);
      // A start of the machine at which the configuration has a mistake.
      await daemon.host.must(["iptables", "-t", "mangle", "-F"]);
      await daemon.host.must(["iptables", "-t", "mangle", "-X"]);
      expect(await scene.sees(stranger, 4)).toBe(true);
      await daemon.configure({ tables: { firewall: { allow }, hooks: { timeout: "mistake" } } });
      expect((await daemon.command("guard", "restore")).code).toBe(2);
      expect(await scene.sees(stranger, 4)).toBe(false);
      expect(await scene.sees(client, 4)).toBe(true);
      // And one at which it has none.
      await daemon.configure({});
      await daemon.must("guard", "restore");
      expect(await scene.sees(client, 4)).toBe(false);
    } finally {
      await scene[Symbol.asyncDispose]();
    }
  });
});
