import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DEFAULT_SPA_PORT } from "../../shared/constants.ts";
import { Capture } from "../lab/capture.ts";
import { comparable } from "../lab/comparable.ts";
import type { Argv } from "../lab/exec.ts";
import type { Family, Host } from "../lab/host.ts";
import { nmap } from "../lab/nmap.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";

/** A guarded host looks to a stranger like one whose firewall drops: before, during and after a grant for another. */

/** Services, a few knock ports, and one that a plain rule of the machine's own drops, to compare with. */
const TCP = [22, 8022, 10_000, 20_512, 32_767];
const UDP = [5353, DEFAULT_SPA_PORT, 10_000, 32_767];
const PLAIN = 7777;
const KINDS = ["-sS", "-sT", "-sA", "-sU"] as const;

/** Ports that neither Tock nor a rule knows: one with a listener, one without. They give the comparison something to compare. */
const OPEN = 8080;
const CLOSED = 9;
/** TOCK_SCANS=long: every kind of scan that nmap has, over both families, and malformed packets of hping3. */
const isLong = process.env["TOCK_SCANS"] === "long";
const SCANS: readonly (readonly string[])[] = [
  ["-sS"],
  ["-sA"],
  ["-sF"],
  ["-sN"],
  ["-sX"],
  ["-sU"],
  ...(isLong
    ? [
        ["-sT"],
        ["-sW"],
        ["-sM"],
        ["-sS", "-f"],
        ["-sS", "--badsum"],
        // Versions are asked of open ports alone, and the one here is not Tock's: more questions would only take longer.
        ["-sV", "--version-light"],
        ["-sS", "-O"],
        ["-sY"],
        ["-sO"],
      ]
    : []),
];
const ODD = [
  "-S -A -F",
  "-S -R",
  "-X -Y",
  "-F -P -U",
  "-S -M 0 -w 0",
  "-A -L 1 -d 40",
  "-2 -d 144",
  "-2 -b -d 10",
  "-1",
  "-1 -C 13",
];

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  /** A machine without Tock, whose firewall drops the same ports. */
  let plain: Host;

  beforeAll(async () => {
    scene = await Scene.set(
      {
        backend,
        services: { ssh: { ports: ["tcp/22", "tcp/8022", "udp/5353"], ttl: "60s", max_ttl: "60s" } },
        tables: { knock: { transport: "both" } },
      },
      [22, 8022, OPEN],
    );
    plain = await scene.lab.host("plain");
    for (const port of [22, 8022, OPEN]) await (await plain.agent()).listen("tcp", port);
    for (const tables of ["iptables", "ip6tables"]) {
      await plain.must([
        tables,
        ..."-A INPUT -p tcp -m multiport --dports 22,8022,10000:32767 -j DROP".split(" "),
      ]);
      const udp = `-A INPUT -p udp -m multiport --dports 5353,10000:32767,${DEFAULT_SPA_PORT} -j DROP`;
      await plain.must([tables, ...udp.split(" ")]);
    }
    // Each is asked a few times for the port that is closed, and would grow tired of answering at its own pace.
    const tireless = ["net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"];
    for (const host of [scene.server, plain]) await host.must(["sysctl", "-qw", ...tireless]);
    for (const tables of ["iptables", "ip6tables"]) {
      for (const protocol of ["tcp", "udp"]) {
        const rule = `-p ${protocol} --dport ${PLAIN} -j DROP`;
        await scene.server.must([tables, "-A", "INPUT", ...rule.split(" ")]);
      }
    }
    await scene.daemon.enrol(scene.client, "alice/laptop");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const scan = async (family: Family, kind: (typeof KINDS)[number]): Promise<void> => {
    const ports = kind === "-sU" ? UDP : TCP;
    const list = [...ports, PLAIN].join(",");
    const seen = await nmap(scene.stranger, scene.server.at(family), { kind, ports: list });
    const states = new Set([...seen.values()].map((port) => `${port.state} ${port.reason}`));
    const state = kind === "-sU" ? "open|filtered" : "filtered";
    expect([...states], `${kind} over IPv${family}`).toEqual([`${state} no-response`]);
    expect(seen.size, `${kind} over IPv${family}`).toBe(ports.length + 1);
  };

  /** Every kind of scan sees every port as the plainly dropped one, and the server says nothing at all. */
  const invisible = async (): Promise<void> => {
    await using capture = await Capture.start(scene.server, `ether host ${scene.stranger.mac}`);
    await Promise.all(FAMILIES.flatMap((family) => KINDS.map((kind) => scan(family, kind))));
    expect(await capture.sentByHost(scene.stranger)).toEqual([]);
    expect((await capture.packets(scene.stranger)).length).toBeGreaterThan(TCP.length * 6);
  };

  test("before, during and after a grant, every scan sees a port that is dropped", async () => {
    await invisible();
    expect((await scene.tock(scene.client, "open", "server", "ssh")).code).toBe(0);
    for (const family of FAMILIES) expect(await scene.sees(scene.client, family)).toBe(true);
    await invisible();
    for (const family of FAMILIES) expect(await scene.sees(scene.client, family)).toBe(true);
    expect((await scene.tock(scene.client, "close", "server", "ssh")).code).toBe(0);
    await invisible();
  });

  /** The set of answers that a stranger gets from a host while `ask` goes on, without what any two hosts differ in. */
  const answers = async (host: Host, ask: () => Promise<unknown>): Promise<string[]> => {
    await using capture = await Capture.start(host, `ether host ${scene.stranger.mac}`);
    await ask();
    return [...new Set((await capture.sentByHost(scene.stranger)).map(comparable))].sort();
  };

  /** Linux limits how many ICMP errors it sends, so one may be missing of a single look at the operating system. */
  const many = async (times: number, look: () => Promise<unknown>): Promise<void> => {
    for (let time = 0; time < times; time++) await look();
  };

  const alike = async (what: string, ask: (host: Host) => Promise<unknown>): Promise<number> => {
    const [here, there] = await Promise.all(
      [scene.server, plain].map((host) => answers(host, () => ask(host))),
    );
    expect(here, what).toEqual(there);
    return here?.length ?? 0;
  };

  test("byte for byte it answers as a host without Tock whose firewall drops the same ports", async () => {
    const tcp = [...TCP, OPEN, CLOSED].join(",");
    const udp = [...UDP, CLOSED].join(",");
    let seen = 0;
    for (const family of isLong ? FAMILIES : ([4] as const)) {
      for (const [kind = "", ...extra] of SCANS) {
        // These exist for IPv4 alone.
        if (family === 6 && (extra.includes("-f") || kind === "-sO")) continue;
        const ports = kind === "-sU" ? udp : kind === "-sO" ? "1,2,6,17,47,132" : tcp;
        const scan = { kind, ports, extra, timeout: 240_000 };
        seen += await alike(`${kind} ${extra.join(" ")} over IPv${family}`, (host) =>
          many(extra.includes("-O") ? 3 : 1, () => nmap(scene.stranger, host.at(family), scan)),
        );
      }
    }
    expect(seen, "the open and the closed port did answer").toBeGreaterThan(4);
    for (const flags of isLong ? ODD : []) {
      for (const port of [22, DEFAULT_SPA_PORT, 10_000, OPEN, CLOSED]) {
        const argv: Argv = [
          "hping3",
          "-q",
          "-c",
          "2",
          "-i",
          "u20000",
          ...flags.split(" "),
          "-p",
          String(port),
        ];
        await alike(`hping3 ${flags} to ${port}`, (host) => scene.stranger.run([...argv, host.address.v4]));
      }
    }
  }, 3_600_000);

  describe.each(FAMILIES)("over IPv%s", (family) => {
    test("nothing unauthentic gets an answer, nor does a device that wants none", async () => {
      const device = await scene.device(`alice/quiet-${family}`);
      const other = await scene.device(`alice/other-${family}`, randomBytes(16));
      await using capture = await Capture.start(scene.server);
      const agent = await scene.stranger.agent();
      const stun = device.stun(Buffer.alloc(144));
      const asked = other.packet({ replyWanted: true });
      const quiet = device.packet();
      const junk = [0, 1, 28, 143, 144, 145, 200, 600, 1400].map((size) => randomBytes(size));
      const sent = [
        ...junk,
        stun,
        asked,
        other.stun(asked),
        Buffer.from("GET / HTTP/1.0\r\n\r\n"),
        quiet,
        quiet,
      ];
      for (const payload of sent) {
        expect(await agent.udp(scene.spa(family), payload)).toEqual([]);
      }
      for (const port of [10_000, 32_767]) await agent.probe(scene.server.at(family), port, { timeout: 50 });
      expect(await capture.sentByHost(scene.stranger)).toEqual([]);
      // The capture would have shown it: an authentic packet that asks for a reply gets exactly one.
      expect(
        await agent.udp(scene.spa(family), device.packet({ replyWanted: true }), { wait: 500 }),
      ).toHaveLength(1);
      expect(await capture.sentByHost(scene.stranger)).toHaveLength(1);
      await scene.daemon.must("device", "remove", `alice/quiet-${family}`);
    });
  });
});
