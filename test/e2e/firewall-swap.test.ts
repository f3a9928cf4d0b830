import { expect, test } from "vitest";
import type { GuardPlan } from "../../server/core/firewall.ts";
import { Capture } from "../lab/capture.ts";
import { type BackendName, ports, RemoteFirewall, service } from "../lab/firewall.ts";
import { tcpFrame } from "../lab/frame.ts";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";

const web = service("web", "tcp/8000");
const shop = service("shop", "tcp/8001-8002");
const plans: readonly GuardPlan[] = [
  { services: [web], silent: [] },
  { services: [shop, web], silent: [ports("udp/62201"), ports("tcp/10000-20000")] },
];

test.each<BackendName>(["iptables", "iptables-legacy", "nftables"])(
  "%s: while the guard's rules are replaced, not one packet slips through",
  async (backend) => {
    await using lab = await Lab.create();
    const [server, client] = await lab.hosts("server", "client");
    const firewall = await RemoteFirewall.start(server, backend);
    await (await server.agent()).listen("tcp", 8000);
    await firewall.on(plans[0] as GuardPlan);
    await using capture = await Capture.start(server, "tcp src port 8000");

    const before = await received(server);
    const storm = Array.from({ length: 2_000 }, (_, index) => syn(client, server, 20_000 + index));
    const agent = await client.agent();
    const swapped = new AbortController();
    let sent = 0;
    const sending = (async () => {
      while (!swapped.signal.aborted) {
        await agent.frames(client.device, storm);
        sent += storm.length;
      }
    })();
    for (let round = 1; round <= 20; round++) await firewall.on(plans[round % 2] as GuardPlan);
    swapped.abort();
    await sending;

    // They did arrive, or the silence would say nothing.
    expect((await received(server)) - before).toBeGreaterThan(sent / 2);
    expect((await capture.packets(client)).filter((packet) => packet.fromMac === server.mac)).toEqual([]);
    await firewall.off();
    expect(await agent.probe(server.address.v4, 8000)).toBe("open");
  },
);

function syn(from: Host, to: Host, port: number): Uint8Array {
  const source = { mac: from.mac, address: from.address.v4, port };
  return tcpFrame(source, { mac: to.mac, address: to.address.v4, port: 8000 }, 2);
}

async function received(host: Host): Promise<number> {
  return Number(await host.must(["cat", `/sys/class/net/${host.device}/statistics/rx_packets`]));
}
