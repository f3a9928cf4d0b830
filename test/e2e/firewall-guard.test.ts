import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { GuardPlan } from "../../server/core/firewall.ts";
import { Capture } from "../lab/capture.ts";
import { type BackendName, ports, RemoteFirewall, service } from "../lab/firewall.ts";
import { tcpFrame, udpFrame } from "../lab/frame.ts";
import type { Family, Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { nmap } from "../lab/nmap.ts";
import { everything } from "../lab/ruleset.ts";
import { eventually } from "../lab/wait.ts";

const families: readonly Family[] = [4, 6];
const backends: readonly BackendName[] = ["iptables", "iptables-legacy", "nftables"];

const web = service("web", "tcp/8000", "tcp/8010-8019", "udp/8000");
const plan: GuardPlan = {
  services: [web],
  silent: ["udp/62201", "tcp/10000-10099", "udp/10000-10099"].map(ports),
};

describe("the guard", () => {
  describe.each(backends)("of %s", (backend) => {
    let lab: Lab;
    let server: Host;
    let client: Host;
    let firewall: RemoteFirewall;
    let made = 0;

    beforeAll(async () => {
      lab = await Lab.create();
      [server, client] = await lab.hosts("server", "client");
      const agent = await server.agent();
      for (const port of [8000, 8010, 8019, 8020, 10_050]) await agent.listen("tcp", port);
      for (const port of [8000, 8001]) await agent.listen("udp", port);
    });
    afterAll(() => lab[Symbol.asyncDispose]());
    beforeEach(async () => {
      firewall = await RemoteFirewall.start(server, backend);
    });
    afterEach(async () => {
      await firewall.off();
      await firewall.process.stop();
    });

    describe.each(families)("over IPv%s", (family) => {
      test("drops what is new, without any answer, and nothing else", async () => {
        const at = server.at(family);
        const agent = await client.agent();
        expect(await agent.probe(at, 8000)).toBe("open");
        await firewall.on(plan);
        await using capture = await Capture.start(server);
        for (const port of [8000, 8010, 8019, 8015, 10_000, 10_050, 10_099]) {
          expect(await agent.probe(at, port, { timeout: 150 }), `tcp/${port}`).toBe("filtered");
        }
        for (const port of [8000, 62_201, 10_000]) {
          expect(
            await agent.udp({ address: at, port }, Buffer.from("?"), { wait: 50 }),
            `udp/${port}`,
          ).toEqual([]);
        }
        expect(await said(capture, client)).toEqual([]);
        expect(await agent.probe(at, 8020)).toBe("open");
        expect(await agent.probe(at, 8009)).toBe("closed");
        expect(await agent.probe(at, 10_100)).toBe("closed");
        expect(await agent.udp({ address: at, port: 8001 }, Buffer.from("?"), { wait: 100 })).toEqual(["3f"]);
      });

      test("gives no scan anything to see", async () => {
        await firewall.on(plan);
        const at = server.at(family);
        await using capture = await Capture.start(server);
        const silent = { tcp: "8000,8010-8011,10050,10099", udp: "8000,62201,10000" };
        for (const kind of ["-sS", "-sA"]) {
          const seen = await nmap(client, at, { kind, ports: silent.tcp });
          const states = new Set([...seen.values()].map((port) => `${port.state} ${port.reason}`));
          expect([...states], kind).toEqual(["filtered no-response"]);
        }
        const udp = await nmap(client, at, { kind: "-sU", ports: silent.udp });
        expect(new Set([...udp.values()].map((port) => port.state))).toEqual(new Set(["open|filtered"]));
        expect(await said(capture, client)).toEqual([]);
      });

      test("lets loopback and the machine's own addresses through", async () => {
        await firewall.on(plan);
        const agent = await server.agent();
        expect(await agent.probe(family === 4 ? "127.0.0.1" : "::1", 8000)).toBe("open");
        expect(await agent.probe(server.at(family), 8000)).toBe("open");
      });

      test("keeps a connection that stood before it, though conntrack had never seen it", async () => {
        const fresh = await lab.host(`fresh${family}-${++made}`);
        const there = await RemoteFirewall.start(fresh, backend);
        await there.serve(8000);
        const here = await RemoteFirewall.start(client, "dry-run");
        await here.dial(fresh.at(family), 8000);
        expect(await here.say("before")).toBe("before");
        await there.on(plan);
        expect(await here.say("after")).toBe("after");
        expect(await (await client.agent()).probe(fresh.at(family), 8000, { timeout: 150 })).toBe("filtered");
        await here.process.stop();
        await there.off();
        await fresh.stop();
      });

      test("guards a redirected port by its outside number", async () => {
        const tables = family === 4 ? "iptables-nft" : "ip6tables-nft";
        const rule = ["PREROUTING", "-p", "tcp", "--dport", "8015", "-j", "REDIRECT", "--to-ports", "8020"];
        await server.must([tables, "-t", "nat", "-A", ...rule]);
        const agent = await client.agent();
        expect(await agent.probe(server.at(family), 8015)).toBe("open");
        await firewall.on(plan);
        expect(await agent.probe(server.at(family), 8015, { timeout: 150 })).toBe("filtered");
        await server.must([tables, "-t", "nat", "-D", ...rule]);
      });

      test("does not open what the machine's own firewall drops", async () => {
        const tables = family === 4 ? "iptables-nft" : "ip6tables-nft";
        const rule = ["INPUT", "-p", "tcp", "--dport", "8000", "-j", "DROP"];
        await firewall.on(plan);
        await firewall.open(web, client.at(family), 30);
        const agent = await client.agent();
        expect(await agent.probe(server.at(family), 8000)).toBe("open");
        await server.must([tables, "-A", ...rule]);
        expect(await agent.probe(server.at(family), 8000, { timeout: 150 })).toBe("filtered");
        await server.must([tables, "-D", ...rule]);
      });

      test("drops a datagram to everybody on the link", async () => {
        const agent = await client.agent();
        await using capture = await Capture.start(server);
        const everybody = {
          mac: "ff:ff:ff:ff:ff:ff",
          address: family === 4 ? "192.0.2.255" : "ff02::1",
          port: 8000,
        };
        const me = { mac: client.mac, address: client.at(family), port: 5000 };
        const send = (): Promise<void> =>
          agent.frames(client.device, [udpFrame(me, everybody, Buffer.from("?"))]);
        await send();
        await eventually("the echo to a broadcast", async () => (await said(capture, client)).length === 1);
        await firewall.on(plan);
        await send();
        expect(await said(capture, client)).toHaveLength(1);
      });

      test("leaves forwarded traffic alone", async () => {
        const { gateway, hosts } = await lab.hostsBehindNat(`gw${family}-${++made}`, `pc${family}-${made}`);
        const there = await RemoteFirewall.start(gateway, backend);
        await there.on(plan);
        const agent = await (hosts[0] as Host).agent();
        expect(await agent.probe(server.at(family), 8000)).toBe("open");
        expect(await agent.probe(server.at(family), 10_050)).toBe("open");
        await there.off();
        await there.process.stop();
      });

      test("lets answers to the machine's own questions in, also to a port of the knock range", async () => {
        await firewall.on(plan);
        const port = 9_100 + family;
        await (await client.agent()).listen("udp", port);
        const to = { address: client.at(family), port };
        const from = { address: server.at(family), port: 10_005 };
        const replies = await (await server.agent()).udp(to, Buffer.from("?"), { from, wait: 200 });
        expect(replies).toEqual(["3f"]);
      });

      test("drops what follows a reply from the SPA port, which conntrack takes for a connection", async () => {
        await firewall.on(plan);
        const at = { address: client.at(family), port: 9_200 };
        const spa = { address: server.at(family), port: 62_201 };
        await (await server.agent()).udp(at, Buffer.from("reply"), { from: spa });
        await using capture = await Capture.start(server);
        const me = { mac: client.mac, ...at };
        const it = { mac: server.mac, ...spa };
        await (await client.agent()).frames(client.device, [udpFrame(me, it, Buffer.from("again"))]);
        expect(await said(capture, client)).toEqual([]);
      });

      test("answers no SYN+ACK, RST or lone ACK either", async () => {
        await firewall.on(plan);
        await using capture = await Capture.start(server);
        const me = { mac: client.mac, address: client.at(family), port: 5001 };
        const it = { mac: server.mac, address: server.at(family), port: 8000 };
        const frames = [18, 16, 4, 1, 0, 41].map((flags) => tcpFrame(me, it, flags));
        await (await client.agent()).frames(client.device, frames);
        expect(await said(capture, client)).toEqual([]);
      });
    });

    test("drops a link-local visitor", async () => {
      const listed = await server.must([
        "ip",
        "-6",
        "-o",
        "addr",
        "show",
        "dev",
        server.device,
        "scope",
        "link",
      ]);
      const [, address = ""] = / inet6 (fe80:[^/]*)/.exec(listed) ?? [];
      const at = `${address}%${client.device}`;
      const agent = await client.agent();
      expect(await agent.probe(at, 8000)).toBe("open");
      await firewall.on(plan);
      expect(await agent.probe(at, 8000, { timeout: 150 })).toBe("filtered");
    });

    test("leaves everything as it was when it is taken out", async () => {
      await server.must([
        "iptables-legacy",
        "-t",
        "mangle",
        "-A",
        "POSTROUTING",
        "-j",
        "MARK",
        "--set-mark",
        "7",
      ]);
      await server.must(["ip6tables-legacy", "-t", "mangle", "-L"]);
      await server.must([
        "ip6tables-nft",
        "-t",
        "mangle",
        "-A",
        "PREROUTING",
        "-j",
        "MARK",
        "--set-mark",
        "7",
      ]);
      await server.must(["ipset", "create", "other", "hash:ip"]);
      const before = await everything(server);
      await firewall.on(plan);
      await firewall.open(web, client.at(4), 30, { connections: 1 });
      await firewall.open(web, client.at(6), 30);
      expect(await everything(server)).not.toBe(before);
      await firewall.off();
      expect(await everything(server)).toBe(before);
      await firewall.off();
      expect(await everything(server)).toBe(before);
      await server.must(["ipset", "destroy", "other"]);
      await server.must(["ip6tables-nft", "-t", "mangle", "-F", "PREROUTING"]);
      await server.must(["iptables-legacy", "-t", "mangle", "-F", "POSTROUTING"]);
    });
  });
});

/** What the captured host sent, in a line each. */
async function said(capture: Capture, from: Host): Promise<string[]> {
  return (await capture.sentByHost(from)).map(
    (each) =>
      `protocol ${each.protocol} ${each.sourcePort} > ${each.target} ${each.targetPort} flags ${each.tcpFlags} icmp ${each.icmpType}`,
  );
}
