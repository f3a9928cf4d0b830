import { expect, test } from "vitest";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { tock } from "../lab/programs.ts";
import { FAMILIES } from "../lab/scene.ts";
import { SshServer } from "../lab/sshd.ts";
import { BACKENDS, TockServer } from "../lab/tock-server.ts";

/** A gateway whose port 22 leads to a real sshd within, for whoever has a device; the client knows nothing of it. */

interface Finding {
  readonly name: string;
  readonly state: string;
  readonly message: string;
  readonly run?: readonly string[];
}

test.each(BACKENDS)(
  "tock open leads ssh through the gateway by %s, and doctor says what is missing",
  async (backend) => {
    await using lab = await Lab.create();
    const [client, stranger] = await lab.hosts("client", "stranger");
    const { gateway, hosts } = await lab.hostsBehindNat("gateway", "inner");
    const [inner] = hosts as [Host];
    const sshd = await SshServer.start(inner);
    const services = (v4: string) => ({
      shell: { ports: ["tcp/22"], ttl: "1m", to: [`tcp/${v4}:22`, `tcp/[${inner.address.v6}]:22`] },
    });
    const daemon = await TockServer.create(gateway, { backend, services: services(inner.address.v4) });
    await daemon.start();
    await daemon.enrol(client, "alice/laptop");
    const where = async (from: Host, family: 4 | 6, wait = 10): Promise<string | undefined> =>
      (await sshd.run(from, gateway.at(family), "echo $SSH_CONNECTION", wait)).stdout.split(" ")[2];

    expect(await where(client, 4, 1)).toBeUndefined();
    for (const family of FAMILIES) {
      await client.must(tock("open", "server", `-${family}`));
      expect(await where(client, family)).toBe(inner.at(family));
      expect(await where(stranger, family, 1)).toBeUndefined();
    }
    expect(await daemon.must("guard", "status")).toBe("guard: on\n");

    const session = await sshd.session(client, gateway.address.v4);
    await daemon.must("revoke", "alice", "--kill");
    session.process.write("echo still there\n");
    expect(await where(client, 4, 1)).toBeUndefined();
    expect(session.process.stdout).not.toContain("still there");
    await session.process.stop();

    const doctor = async (): Promise<Finding[]> => {
      const told = JSON.parse((await daemon.command("doctor", "--json")).stdout) as Finding[];
      return told
        .filter(({ name }) => name === "forwarding")
        .map(({ name, state, message }) => ({ name, state, message }));
    };
    expect(await doctor()).toMatchObject([{ state: "ok" }]);
    await gateway.must(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"]);
    await daemon.configure({ backend, services: services("10.9.9.9") });
    await daemon.must("reload");
    expect((await doctor()).map(({ state, message }) => `${state}: ${message}`)).toEqual([
      "fail: this machine forwards no IPv4, so shell leads nowhere",
      "fail: there is no route to 10.9.9.9, where shell leads",
    ]);

    await daemon.must("guard", "off");
    const left = await gateway.must(["sh", "-c", "iptables-save; ip6tables-save; nft list ruleset"]);
    expect(left.split("\n").filter((line) => /tock|10\.9\.9\.9/i.test(line))).toEqual([]);
    expect(daemon.process.running).toBe(true);
  },
);

const POLICIES = {
  iptables: `for p in iptables ip6tables; do $p -P FORWARD DROP
    $p -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; done`,
  nftables: `nft -f - <<END
    table inet fw { chain through { type filter hook forward priority 0; policy drop;
    ct state established,related accept; iifname "eth1" accept; }
    }
END`,
} as const;

test.each([
  ["to", "iptables"],
  ["to", "nftables"],
  ["forward", "iptables"],
  ["forward", "nftables"],
] as const)(
  "what doctor says to run for a service with %s opens to no stranger: %s",
  async (kind, policy) => {
    await using lab = await Lab.create();
    const [client, stranger] = await lab.hosts("client", "stranger");
    const { gateway, hosts } = await lab.hostsBehindNat("gateway", "inner", "other");
    const [inner, other] = hosts as [Host, Host];
    for (const host of [client, stranger]) {
      await host.must(["ip", "route", "add", "198.51.100.0/24", "via", gateway.address.v4]);
      await host.must(["ip", "-6", "route", "add", "fd00:db8::/64", "via", gateway.address.v6]);
    }
    for (const host of hosts) await (await host.agent()).listen("tcp", 22);
    await gateway.must(["sh", "-ec", POLICIES[policy]]);
    const { v4, v6 } = inner.address;
    const where = kind === "to" ? { to: [`tcp/${v4}:22`, `tcp/[${v6}]:22`] } : { forward: [`${v4}/32`, v6] };
    const services = { shell: { ports: ["tcp/22"], ttl: "1m", ...where } };
    const daemon = await TockServer.create(gateway, { backend: "nftables", services });
    await daemon.start();
    await daemon.enrol(client, "alice/laptop");
    const view = async (from: Host, to: Host): Promise<string> => {
      const agent = await from.agent();
      const probes = FAMILIES.map((family) => agent.probe(to.at(family), 22, { timeout: 400 }));
      return (await Promise.all(probes)).join(" ");
    };
    const findings = async (): Promise<Finding[]> => {
      const told = JSON.parse((await daemon.command("doctor", "--json")).stdout) as Finding[];
      return told.filter(({ name }) => name === "firewall");
    };

    const run = (await findings()).flatMap((finding) => finding.run ?? []);
    expect(run).toHaveLength(2);
    for (const command of run) await gateway.must(["sh", "-c", command]);
    expect((await findings()).map(({ state }) => state)).toEqual(["ok"]);
    expect(await view(stranger, inner)).toBe("filtered filtered");
    expect(await view(stranger, other)).toBe("filtered filtered");
    for (const family of FAMILIES) await client.must(tock("open", "server", `-${family}`));
    expect(await view(client, kind === "to" ? gateway : inner)).toBe("open open");
    expect(await view(client, other)).toBe("filtered filtered");
    expect(await view(stranger, kind === "to" ? gateway : inner)).toBe("filtered filtered");
  },
);
