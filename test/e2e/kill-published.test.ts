import { expect, test } from "vitest";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { tock } from "../lab/programs.ts";
import { FAMILIES } from "../lab/scene.ts";
import { ticking } from "../lab/ticking.ts";
import { BACKENDS, TockServer } from "../lab/tock-server.ts";

/**
 * Somebody else (a container engine, say) publishes a port under the same number, and the gateway masquerades: the server within
 * goes on sending, which must not bring a connection back that was cut.
 */

const PORT = 8080;

test.each(BACKENDS)(
  "revoke --kill by %s cuts what goes to a port that others publish",
  async (backend) => {
    await using lab = await Lab.create();
    const client = await lab.host("client");
    const { gateway, hosts } = await lab.hostsBehindNat("gateway", "inner");
    const [inner] = hosts as [Host];
    const publish = (["ip", "ip6"] as const).map((family, index) => {
      const address = index === 0 ? inner.address.v4 : `[${inner.address.v6}]`;
      const to = `iifname "eth0" tcp dport ${PORT} dnat to ${address}:${PORT}`;
      return `table ${family} published { chain pre { type nat hook prerouting priority -100; ${to}; }; }`;
    });
    await gateway.must(["nft", "-f", "-"], { input: `${publish.join("\n")}\n` });
    const services = { web: { ports: [`tcp/${PORT}`], ttl: "1m" } };
    const daemon = await TockServer.create(gateway, { backend, services });
    await daemon.start();
    await daemon.enrol(client, "alice/laptop");
    for (const family of FAMILIES) {
      await client.must(tock("open", "server", `-${family}`));
      const at = { address: inner.at(family), port: PORT };
      await using tick = await ticking(inner, client, at, { address: gateway.at(family), port: PORT });
      await daemon.must("revoke", "alice");
      await tick.more();
      await client.must(tock("open", "server", `-${family}`));
      expect(await daemon.must("revoke", "alice", "--kill")).toMatch(/1/);
      await tick.stops();
    }
  },
  240_000,
);
