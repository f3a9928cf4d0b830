import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CapturePlan } from "../../server/core/frame.ts";
import { encodeStunRequest } from "../../shared/stun.ts";
import type { Argv } from "../lab/exec.ts";
import { fragments, type FrameOptions, type Side, tcpFrame, udpFrame } from "../lab/frame.ts";
import type { Family, Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { type Sniffed, Sniffer } from "../lab/sniffer.ts";
import { eventually } from "../lab/wait.ts";

const families: readonly Family[] = [4, 6];
const SPA = 62201;
const PLAN: CapturePlan = { spa: SPA, knock: { first: 10000, last: 32767, transport: "both" } };
const SYN = 2;

const VLAN: Argv = ["ip", "link", "add", "link", "eth0", "name", "eth0.5", "type", "vlan", "id", "5"];
/** Kernels may come without 802.1Q; `ip link help` knows it always, so one is made to see. */
const hasVlans = await canMakeVlan();

let lab: Lab;
let server: Host;
let client: Host;

async function canMakeVlan(): Promise<boolean> {
  await using lab = await Lab.create();
  const host = await lab.host("vlan");
  return (await host.run(VLAN)).code === 0;
}

beforeAll(async () => {
  lab = await Lab.create();
  [server, client] = await lab.hosts("server", "client");
}, 30_000);

afterAll(() => lab[Symbol.asyncDispose]());

function packet(fill: number): Buffer {
  return Buffer.alloc(144, fill);
}

function stun(packet: Uint8Array): Buffer {
  const random = { transactionId: new Uint8Array(12), tieBreaker: new Uint8Array(8), localUfrag: "abcd" };
  return Buffer.from(encodeStunRequest(packet, "password", random));
}

async function udp(to: string, payload: Uint8Array, port = SPA, from = client): Promise<void> {
  await (await from.agent()).udp({ address: to, port }, payload);
}

function side(host: Host, family: Family, port: number, mac = host.mac): Side {
  return { mac, address: host.at(family), port };
}

/** A packet from the client to the server as a whole frame, for what an ordinary socket does not send. */
function frame(family: Family, payload: Uint8Array, mac = server.mac, options: FrameOptions = {}): Buffer {
  return udpFrame(side(client, family, 4000), side(server, family, SPA, mac), payload, options);
}

async function put(...frames: Buffer[]): Promise<void> {
  await (await client.agent()).frames("eth0", frames);
}

function fills(frames: readonly Sniffed[]): number[] {
  return frames.map(({ payload }) => Number.parseInt(payload.slice(0, 2), 16));
}

/** A link that just came up loses packets for a moment: one after the other is sent until one is seen, exactly once. */
async function expectSeenOnce(sniffer: Sniffer, to: Side): Promise<void> {
  const before = (await sniffer.frames(client, server)).length;
  let seen: number[] = [];
  let sent = 0;
  await eventually("a packet is seen", async () => {
    await put(udpFrame(side(client, 4, 4000), to, packet(++sent)));
    seen = fills(await sniffer.frames(client, server)).slice(before);
    return seen.length > 0;
  });
  expect(seen).toEqual([sent]);
}

describe.each(families)("over IPv%s", (family) => {
  const tables = family === 4 ? "iptables" : "ip6tables";

  test.each(["ebpf", "cbpf"] as const)(
    "packets in both forms are seen though nothing listens (%s)",
    async (filter) => {
      await using sniffer = await Sniffer.start(server, PLAN, { useTags: filter === "ebpf" });
      await sniffer.ask({ op: "add", tags: "07".repeat(8) });
      const before = Date.now();
      await udp(server.at(family), packet(7));
      await udp(server.at(family), stun(packet(7)));
      const frames = await sniffer.frames(client, server);
      expect(frames.map(({ kind }) => kind)).toEqual(["spa", "stun"]);
      expect(frames[0]).toMatchObject({
        family,
        protocol: 17,
        destinationPort: SPA,
        payload: "07".repeat(144),
      });
      expect(frames[0]).toMatchObject({ source: client.at(family), destination: server.at(family) });
      expect(frames[1]?.payload).toBe(stun(packet(7)).toString("hex"));
      expect(frames[0]?.arrivedAt).toBeGreaterThan(before - 1000);
      expect(frames[0]?.arrivedAt).toBeLessThan(Date.now() + 1000);
      const index = Number(await server.must(["cat", "/sys/class/net/eth0/ifindex"]));
      expect(frames[0]?.interfaceIndex).toBe(index);
      expect(await sniffer.stats()).toMatchObject({ filter, received: 4, delivered: 4, refused: 0, lost: 0 });
    },
  );

  test("the firewall's drops hide nothing", async () => {
    await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
    const chains = [["INPUT"], ["PREROUTING", "-t", "raw"]];
    for (const chain of chains) await server.must([tables, "-A", ...chain, "-i", "eth0", "-j", "DROP"]);
    try {
      await udp(server.at(family), packet(1));
      await put(tcpFrame(side(client, family, 4001), side(server, family, 20000), SYN));
      const frames = await sniffer.frames(client, server);
      expect(frames.map(({ kind }) => kind)).toEqual(["spa", "knock"]);
    } finally {
      for (const chain of chains) await server.must([tables, "-F", ...chain]);
    }
  });

  test("a SYN to the knock range is one knock; no other segment is", async () => {
    await using sniffer = await Sniffer.start(server, PLAN);
    await (await server.agent()).listen("tcp", 15000 + family, server.at(family));
    const agent = await client.agent();
    expect(await agent.probe(server.at(family), 15000 + family)).toBe("open");
    expect(await agent.probe(server.at(family), 9999)).toBe("closed");
    await put(
      ...[0x00, 0x10, 0x12, 0x04, 0x03, 0x29].map((flags) =>
        tcpFrame(side(client, family, 4001), side(server, family, 20000), flags),
      ),
    );
    const frames = await sniffer.frames(client, server);
    expect(frames).toHaveLength(1);
    expect(frames[0]).toMatchObject({
      kind: "knock",
      protocol: 6,
      tcpFlags: SYN,
      destinationPort: 15000 + family,
    });
  });

  test("the host's own packets are not seen, and those to itself are seen once", async () => {
    await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
    await udp(client.at(family), packet(1), SPA, server);
    await udp(server.at(family), packet(2), SPA, server);
    await udp(family === 4 ? "127.0.0.1" : "::1", packet(3), SPA, server);
    expect(fills(await sniffer.frames(client, server))).toEqual([2, 3]);
  });

  test("frames for another host are not ours, though the interface takes them", async () => {
    await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
    await server.must(["ip", "link", "set", "eth0", "promisc", "on"]);
    await put(
      frame(family, packet(1), "02:00:00:00:00:99"),
      frame(family, packet(2), "ff:ff:ff:ff:ff:ff"),
      frame(family, packet(3), "33:33:00:00:00:01"),
      frame(family, packet(4)),
    );
    expect(fills(await sniffer.frames(client, server))).toEqual([4]);
    await server.must(["ip", "link", "set", "eth0", "promisc", "off"]);
  });

  test("a frame of a VLAN that the host is not in is for nobody; VLAN 0 is none", async () => {
    await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
    const tagged = [5, 0].map((vlan) => frame(family, packet(vlan), server.mac, { vlan }));
    await put(...tagged, frame(family, packet(1)));
    expect(fills(await sniffer.frames(client, server))).toEqual([0, 1]);
  });

  test.skipIf(!hasVlans)("a tagged frame is seen once, on its VLAN interface", async () => {
    await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
    await server.must(VLAN);
    await server.must(["ip", "link", "set", "eth0.5", "up"]);
    await put(frame(family, packet(2), server.mac, { vlan: 5 }));
    const frames = await sniffer.frames(client, server);
    expect(fills(frames)).toEqual([2]);
    const index = Number(await server.must(["cat", "/sys/class/net/eth0.5/ifindex"]));
    expect(frames[0]?.interfaceIndex).toBe(index);
    await server.must(["ip", "link", "del", "eth0.5"]);
  });

  test("sizes that cannot be ours never reach the process", async () => {
    await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
    for (const size of [0, 1, 27, 143, 145, 600, 1400]) await udp(server.at(family), Buffer.alloc(size));
    for (const port of [SPA + 1, 9999, 32768]) await udp(server.at(family), packet(1), port);
    const shortStun = stun(packet(1)).subarray(0, 24);
    const otherCookie = stun(packet(1));
    otherCookie.writeUInt8(0, 7);
    for (const message of [shortStun, otherCookie]) await udp(server.at(family), message);
    expect(await sniffer.frames(client, server)).toEqual([]);
    expect(await sniffer.stats()).toMatchObject({ received: 2, delivered: 2 });
  });

  test("tags decide in the kernel, and change while packets come", async () => {
    await using sniffer = await Sniffer.start(server, PLAN);
    const send = async (): Promise<void> => {
      for (const fill of [1, 2, 3]) {
        await udp(server.at(family), packet(fill));
        await udp(server.at(family), stun(packet(fill)));
      }
    };
    const kinds = async (): Promise<string[]> => {
      const frames = await sniffer.frames(client, server);
      return frames.map(
        ({ kind, payload }) => `${kind} ${kind === "spa" ? payload.slice(0, 2) : payload.slice(48, 52)}`,
      );
    };
    const base64Start = (fill: number): string =>
      Buffer.from(packet(fill).toString("base64")).toString("hex", 0, 2);
    const both = (fill: number): string[] => [`spa 0${fill}`, `stun ${base64Start(fill)}`];
    await send();
    expect(await kinds()).toEqual([]);
    await sniffer.ask({ op: "add", tags: "01".repeat(8) + "02".repeat(8) });
    await send();
    const first = [...both(1), ...both(2)];
    expect(await kinds()).toEqual(first);
    await sniffer.ask({ op: "remove", tags: "01".repeat(8) });
    await send();
    expect(await kinds()).toEqual([...first, ...both(2)]);
    await sniffer.ask({ op: "replace", tags: "03".repeat(8) });
    await send();
    expect(await kinds()).toEqual([...first, ...both(2), ...both(3)]);
    const { filter, received, delivered } = await sniffer.stats();
    expect({ filter, waste: received - delivered }).toEqual({ filter: "ebpf", waste: 0 });
  });
});

test("fragments are refused", async () => {
  await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
  await put(...fragments(frame(4, packet(1)), 80), ...fragments(frame(4, packet(2)), 1400));
  expect(fills(await sniffer.frames(client, server))).toEqual([2]);
});

test("interfaces may come, go, flap and come again under the same name", async () => {
  await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
  for (let round = 0; round < 2; round++) {
    const plug = await lab.wire.attach(server.namespace, "eth7");
    const to = { mac: plug.mac, address: plug.address.v4, port: SPA };
    await expectSeenOnce(sniffer, to);
    await server.must(["ip", "link", "set", "eth7", "down"]);
    await server.must(["ip", "link", "set", "eth7", "up"]);
    await expectSeenOnce(sniffer, to);
    await server.must(["ip", "link", "del", "eth7"]);
  }
});

test("behind a bridge of the host a packet is seen once", async () => {
  await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
  const { mac, address } = await lab.wire.attach(server.namespace, "eth8");
  await server.must(["ip", "link", "add", "br8", "address", mac, "type", "bridge"]);
  await server.must(["ip", "link", "set", "eth8", "master", "br8"]);
  await server.must(["ip", "link", "set", "br8", "up"]);
  await expectSeenOnce(sniffer, { mac, address: address.v4, port: SPA });
});

test("what does not fit into the ring is counted, and the next packet is seen", async () => {
  await using sniffer = await Sniffer.start(server, PLAN, { useTags: false, slots: 64 });
  sniffer.process.signal("SIGSTOP");
  const state = `/proc/${sniffer.process.pid}/stat`;
  await eventually("the capture is stopped", async () => / T /.test(await readFile(state, "utf8")));
  await put(...Array.from({ length: 300 }, (_, index) => frame(4, packet(index & 0x7f))));
  sniffer.process.signal("SIGCONT");
  await eventually("the ring is read", async () => (await sniffer.stats()).delivered >= 64);
  expect(fills(await sniffer.frames(client, server)).slice(0, 64)).toEqual(
    Array.from({ length: 64 }, (_, index) => index),
  );
  const { received, lost, delivered } = await sniffer.stats();
  expect(received).toBe(302);
  expect(lost).toBeGreaterThan(0);
  expect(lost + delivered).toBe(received);
});

test("nothing is delivered after close", async () => {
  await using sniffer = await Sniffer.start(server, PLAN, { useTags: false });
  await sniffer.frames(client, server);
  await sniffer.ask({ op: "close" });
  await sniffer.ask({ op: "close" });
  await udp(server.at(4), packet(1));
  expect(await sniffer.stats()).toMatchObject({ received: 2, delivered: 2 });
});

test("without CAP_BPF the classic filter serves; without CAP_NET_RAW it is said", async () => {
  const without = (...names: string[]): string[] => [
    "setpriv",
    "--bounding-set",
    names.map((name) => `-${name}`).join(","),
  ];
  await using sniffer = await Sniffer.start(server, PLAN, {}, without("bpf", "sys_admin"));
  await udp(server.at(4), packet(1));
  expect(fills(await sniffer.frames(client, server))).toEqual([1]);
  expect(await sniffer.stats()).toMatchObject({ filter: "cbpf" });
  const refused = Sniffer.start(server, PLAN, {}, without("net_raw"));
  await expect(refused).rejects.toThrow(
    "capture: cannot open a packet socket: EPERM\nrun as root, or give the process CAP_NET_RAW",
  );
});
