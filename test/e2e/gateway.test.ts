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
