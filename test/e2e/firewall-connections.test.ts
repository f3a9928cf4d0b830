import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { GuardPlan } from "../../server/core/firewall.ts";
import { Capture } from "../lab/capture.ts";
import { type BackendName, RemoteFirewall, service } from "../lab/firewall.ts";
import { udpFrame } from "../lab/frame.ts";
import type { Family, Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import type { Process } from "../lab/process.ts";
import { eventually, sleep } from "../lab/wait.ts";

/** Grants tied to connections and source ports, as the kernel decides them. */

const families: readonly Family[] = [4, 6];
const backends: readonly BackendName[] = ["iptables", "iptables-legacy", "nftables"];

const RAW_DROP = `table inet raw_drop {
  chain out {
    type filter hook output priority -300;
    tcp sport 8001 drop
  }
}
`;
const web = service("web", "tcp/8000-8001", "udp/9000");
const plan: GuardPlan = { services: [web], silent: [] };

describe.each(backends)("limited grants of %s", (backend) => {
  let lab: Lab;
  let server: Host;
  let client: Host;
  let firewall: RemoteFirewall;
  let mute: Process;
  let sourcePort = 30_000;

  beforeAll(async () => {
    lab = await Lab.create();
    [server, client] = await lab.hosts("server", "client");
    await (await server.agent()).listen("tcp", 8000);
    await (await RemoteFirewall.start(server, "dry-run")).serve(8001);
    const script = `const socket = require("dgram").createSocket("udp6").on("message", (m) => console.log("got " + m));
      socket.bind(9000, () => console.log("ready"));`;
    mute = server.start([process.execPath, "-e", script]);
    await mute.waitFor(/ready/);
  });
  afterAll(() => lab[Symbol.asyncDispose]());
  beforeEach(async () => {
    firewall = await RemoteFirewall.start(server, backend);
    await firewall.on(plan);
  });
  afterEach(async () => {
    await lab.wire.lose(undefined);
    await server.run(["nft", "delete", "table", "inet", "raw_drop"]);
    await firewall.off();
    await firewall.process.stop();
  });

  describe.each(families)("over IPv%s", (family) => {
    const probe = async (port: number, from?: number): Promise<string> => {
      const bind = from === undefined ? {} : { from: { address: client.at(family), port: from } };
      return (await client.agent()).probe(server.at(family), port, { timeout: 200, ...bind });
    };

    test("connections = 1 lets in one, which goes on", async () => {
      const here = await RemoteFirewall.start(client, "dry-run");
      await firewall.open(web, client.at(family), 60, { connections: 1 });
      expect(await firewall.list()).toHaveLength(1);
      await here.dial(server.at(family), 8001);
      expect(await probe(8000)).toBe("filtered");
      expect(await probe(8001)).toBe("filtered");
      expect(await here.say("mine")).toBe("mine");
      expect(await firewall.list()).toEqual([]);
      await here.process.stop();
    });

    test("of many at once, exactly the number granted gets in", async () => {
      await firewall.open(web, client.at(family), 60, { connections: 3 });
      const results = await Promise.all(Array.from({ length: 20 }, () => probe(8000)));
      expect(results.filter((result) => result === "open")).toHaveLength(3);
    });

    test("a second grant adds its own connections, and a grant without limit is not used up", async () => {
      await firewall.open(web, client.at(family), 60, { connections: 1 });
      await firewall.open(web, client.at(family), 20, { connections: 2 });
      expect((await firewall.list())[0]?.remaining).toBeGreaterThan(50_000);
      expect(await Promise.all([probe(8000), probe(8000), probe(8000)])).toEqual(["open", "open", "open"]);
      expect(await probe(8000)).toBe("filtered");
      await firewall.open(web, client.at(family), 60, { connections: 1 });
      await firewall.open(web, client.at(family), 3);
      expect(await Promise.all([probe(8000), probe(8000), probe(8000)])).toEqual(["open", "open", "open"]);
      await sleep(3_100);
      expect(await probe(8000)).toBe("open");
      expect(await probe(8000)).toBe("filtered");
    });

    test("a SYN sent again is not a second connection", async () => {
      const here = await RemoteFirewall.start(client, "dry-run");
      await using capture = await Capture.start(server, "tcp dst port 8001");
      await firewall.open(web, client.at(family), 60, { connections: 1 });
      // The server's answers are lost on the wire: the client's kernel repeats its SYN after 1 and 3 seconds.
      await lab.wire.lose("tcp sport 8001");
      const dialled = here.dial(server.at(family), 8001);
      await eventually("the SYN is repeated", async () => (await syns(capture, client)) >= 2);
      await lab.wire.lose(undefined);
      await dialled;
      expect(await here.say("through")).toBe("through");
      expect(await probe(8000)).toBe("filtered");
      await here.process.stop();
    });

    test("nor is a SYN sent again while the machine has not answered", async () => {
      const here = await RemoteFirewall.start(client, "dry-run");
      await using capture = await Capture.start(server, "tcp dst port 8001");
      await firewall.open(web, client.at(family), 60, { connections: 1 });
      // The table raw is before conntrack, to which the connection stays new.
      await server.must(["nft", "-f", "-"], { input: RAW_DROP });
      const dialled = here.dial(server.at(family), 8001);
      await eventually("the SYN is repeated", async () => (await syns(capture, client)) >= 2);
      await server.must(["nft", "delete", "table", "inet", "raw_drop"]);
      await dialled;
      expect(await here.say("through")).toBe("through");
      expect(await probe(8000)).toBe("filtered");
      await here.process.stop();
    });

    test("the same source port again is a second connection", async () => {
      await firewall.open(web, client.at(family), 60, { connections: 1 });
      const from = (sourcePort += 10);
      expect(await probe(8000, from)).toBe("open");
      expect(await probe(8000, from)).toBe("filtered");
    });

    test("a source-port grant lets in that port alone, as often as it comes", async () => {
      const from = (sourcePort += 10);
      await firewall.open(web, client.at(family), 60, { sourcePort: from });
      await firewall.open(web, client.at(family), 30, { sourcePort: from });
      expect(await firewall.list()).toMatchObject([{ sourcePort: from, source: client.at(family) }]);
      expect(await probe(8000, from + 1)).toBe("filtered");
      expect(await probe(8000)).toBe("filtered");
      expect(await probe(8000, from)).toBe("open");
      expect(await probe(8001, from)).toBe("open");
      await firewall.close(web, client.at(family));
      expect(await probe(8000, from)).toBe("filtered");
    });

    test("source port and connections together", async () => {
      const from = (sourcePort += 10);
      await firewall.open(web, client.at(family), 60, { sourcePort: from, connections: 1 });
      expect(await probe(8000, from + 1)).toBe("filtered");
      expect(await probe(8000, from)).toBe("open");
      expect(await probe(8000, from)).toBe("filtered");
    });

    test("of UDP a connection is a flow, also one that is never answered", async () => {
      await firewall.open(web, client.at(family), 4, { connections: 1 });
      const agent = await client.agent();
      const me = { mac: client.mac, address: client.at(family), port: (sourcePort += 10) };
      const it = { mac: server.mac, address: server.at(family), port: 9000 };
      const send = (text: string, port = me.port): Promise<void> =>
        agent.frames(client.device, [udpFrame({ ...me, port }, it, Buffer.from(`${family} ${text}.`))]);
      const got = (): string[] =>
        [...mute.stdout.matchAll(new RegExp(`got ${family} (.*)\\.`, "g"))].map(([, text = ""]) => text);
      for (const text of ["first", "second"]) await send(text);
      await send("neighbour", me.port + 500);
      await send("third");
      await eventually("the flow's datagrams arrive", () => got().includes("third"));
      expect(got()).toEqual(["first", "second", "third"]);
      await eventually("the grant ends", async () => {
        const before = got().length;
        await send("late");
        await sleep(200);
        return got().length === before;
      });
      expect(got()).not.toContain("neighbour");
    });
  });
});

/** SYNs that reached the server's wire, repeated ones too. */
async function syns(capture: Capture, from: Host): Promise<number> {
  return (await capture.packets(from)).filter((packet) => packet.tcpFlags === 2).length;
}
