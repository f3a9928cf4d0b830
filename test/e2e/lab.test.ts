import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Capture } from "../lab/capture.ts";
import { membersOf, namespacesOf, sweep } from "../lab/cleanup.ts";
import { run } from "../lab/exec.ts";
import { fragments, type Side, tcpFrame, udpFrame } from "../lab/frame.ts";
import type { Family, Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { nmap } from "../lab/nmap.ts";
import { SshServer } from "../lab/sshd.ts";
import { eventually } from "../lab/wait.ts";

/** The laboratory is what every other end-to-end test stands on; here it is tested itself. */

const families: readonly Family[] = [4, 6];
let lab: Lab;
let server: Host;
let client: Host;
let stranger: Host;

function side(host: Host, family: Family, port: number): Side {
  return { mac: host.mac, address: host.at(family), port };
}

beforeAll(async () => {
  lab = await Lab.create();
  [server, client, stranger] = await lab.hosts("server", "client", "stranger");
}, 30_000);

afterAll(() => lab[Symbol.asyncDispose]());

describe.each(families)("over IPv%s", (family) => {
  const tables = family === 4 ? "iptables" : "ip6tables";

  test("a probe tells open, closed and filtered apart, and nmap agrees", async () => {
    const at = server.at(family);
    const agent = await client.agent();
    const port = 8000 + family;
    await (await server.agent()).listen("tcp", port, at);
    await server.must([tables, "-A", "INPUT", "-p", "tcp", "--dport", "8100", "-j", "DROP"]);

    expect(await agent.probe(at, port)).toBe("open");
    expect(await agent.probe(at, 8099)).toBe("closed");
    expect(await agent.probe(at, 8100)).toBe("filtered");

    const seen = await nmap(client, at, { kind: "-sS", ports: `${port},8099,8100` });
    expect(Object.fromEntries(seen)).toEqual({
      [`tcp/${port}`]: { state: "open", reason: "syn-ack" },
      "tcp/8099": { state: "closed", reason: "reset" },
      "tcp/8100": { state: "filtered", reason: "no-response" },
    });
  });

  test("nmap's summed-up ports are listed one by one", async () => {
    const seen = await nmap(client, server.at(family), { kind: "-sS", ports: "9000-9059" });
    expect(seen.size).toBe(60);
    expect(seen.get("tcp/9031")).toEqual({ state: "closed", reason: "reset" });
  });

  test("a datagram reaches the other side, with the source that was chosen", async () => {
    await using capture = await Capture.start(server, "udp");
    const agent = await client.agent();
    const from = { address: client.at(family), port: 40_000 + family };
    await agent.udp({ address: server.at(family), port: 5000 }, Buffer.from("hello"), { from });
    const [packet] = (await capture.packets(client)).filter((each) => each.targetPort === 5000);
    expect(packet).toMatchObject({ source: from.address, sourcePort: from.port, target: server.at(family) });
    expect(packet?.payload.toString()).toBe("hello");
  });

  test("a made frame carries any source, and the kernel takes its checksums", async () => {
    await using capture = await Capture.start(server);
    await (await server.agent()).listen("udp", 5100 + family, server.at(family));
    const frame = udpFrame(
      side(client, family, 4444),
      side(server, family, 5100 + family),
      Buffer.from("echo"),
    );
    await (await stranger.agent()).frames("eth0", [frame]);
    await eventually("the server's answer goes to the client's address", async () =>
      (await capture.sentByHost(client)).some(
        (packet) => packet.payload.toString() === "echo" && packet.targetPort === 4444,
      ),
    );
  });

  test("a made SYN gets an answer from a closed port, and the capture counts it", async () => {
    await using capture = await Capture.start(server);
    const syn = tcpFrame(side(stranger, family, 4445), side(server, family, 8099), 2);
    await (await stranger.agent()).frames("eth0", [syn]);
    await eventually("a reset", async () =>
      (await capture.sentByHost(stranger)).some(
        (packet) => packet.sourcePort === 8099 && ((packet.tcpFlags ?? 0) & 4) === 4,
      ),
    );
  });

  test("a capture of silence is empty, though it was awake", async () => {
    await using capture = await Capture.start(server);
    await (await client.agent()).probe(server.at(family), 8100, { timeout: 100 });
    expect(await capture.sentByHost(client)).toEqual([]);
    expect((await capture.packets(client)).filter((packet) => packet.targetPort === 8100)).not.toEqual([]);
  });
});

test("ssh logs in, runs a command, and a session stays", async () => {
  const sshd = await SshServer.start(server);
  for (const family of families) {
    const output = await sshd.run(client, server.at(family), "echo $SSH_CONNECTION");
    expect(output.stdout).toContain(`${client.at(family)} `);
  }
  await using session = await sshd.session(client, server.address.v4);
  await session.ask("still there");
}, 60_000);

test("fragments are put together by the kernel", async () => {
  await (await server.agent()).listen("udp", 5200, server.address.v4);
  await using capture = await Capture.start(server);
  const whole = udpFrame(side(client, 4, 4446), side(server, 4, 5200), Buffer.alloc(100, "f"));
  await (await client.agent()).frames("eth0", fragments(whole, 48));
  await eventually("the whole datagram comes back", async () =>
    (await capture.sentByHost(client)).some((packet) => packet.payload.toString() === "f".repeat(100)),
  );
});

test("a tagged frame is seen with its tag", async () => {
  await using capture = await Capture.start(server);
  const frame = udpFrame(side(client, 4, 4447), side(server, 4, 5300), Buffer.from("tagged"), { vlan: 5 });
  await (await client.agent()).frames("eth0", [frame]);
  const [packet] = (await capture.packets(client)).filter((each) => each.targetPort === 5300);
  expect(packet).toMatchObject({ vlan: 5, source: client.address.v4 });
});

test("hosts behind a gateway share its address", async () => {
  const { gateway, hosts } = await lab.hostsBehindNat("gateway", "laptop");
  const [laptop] = hosts;
  if (laptop === undefined) throw new Error("no laptop");
  await using capture = await Capture.start(server, "udp");
  for (const family of families) {
    const port = 5400 + family;
    await (await laptop.agent()).udp({ address: server.at(family), port }, Buffer.from("from home"));
    const [packet] = (await capture.packets(gateway)).filter((each) => each.targetPort === port);
    expect(packet?.source).toBe(gateway.at(family));
  }
}, 30_000);

test("the wire can lose what it is told to lose", async () => {
  const agent = await client.agent();
  await using capture = await Capture.start(server, "udp");
  await lab.wire.lose("udp dport 5500 numgen inc mod 2 0");
  for (let round = 0; round < 10; round++) {
    await agent.udp({ address: server.address.v4, port: 5500 }, Buffer.from([round]));
  }
  await lab.wire.lose(undefined);
  await agent.udp({ address: server.address.v4, port: 5500 }, Buffer.from("after"));
  const through = (await capture.packets(client)).filter((packet) => packet.targetPort === 5500);
  expect(through).toHaveLength(6);
  expect(through.at(-1)?.payload.toString()).toBe("after");
});

describe("cleaning up", () => {
  test("leaves no namespace, no process, no folder", async () => {
    const other = await Lab.create();
    const [host] = await other.hosts("host");
    const sleeper = host.start(["sleep", "1000"]);
    // A daemon that left its parent and its process group behind.
    await host.must(["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 </dev/null &"]);
    const [stray] = membersOf(host.namespace).filter((pid) => pid !== sleeper.pid);
    expect(stray).toBeDefined();
    await other[Symbol.asyncDispose]();
    expect(namespacesOf(other.name)).toEqual([]);
    expect(existsSync(other.folder)).toBe(false);
    expect(existsSync(`/proc/${stray}/ns`) && readdirSync(`/proc/${stray}/fd`).length > 0).toBe(false);
    expect(sleeper.running).toBe(false);
  });

  test("is done by the next lab when an owner was killed half-way", async () => {
    const owner = `
      import { Lab } from ${JSON.stringify(new URL("../lab/lab.ts", import.meta.url).href)};
      const lab = await Lab.create();
      const host = await lab.host("host");
      host.start(["sleep", "1000"]);
      console.log(lab.name);
      process.kill(process.pid, "SIGKILL");`;
    const argv = ["--input-type=module-typescript", "-e", owner];
    const ended = await run([process.execPath, ...argv]);
    expect(ended.signal, ended.stderr).toBe("SIGKILL");
    const name = ended.stdout.trim();
    expect(namespacesOf(name)).not.toEqual([]);
    expect(sweep()).toContain(name);
    expect(namespacesOf(name)).toEqual([]);
    expect(sweep()).not.toContain(lab.name);
    expect(namespacesOf(lab.name)).not.toEqual([]);
  });
});
