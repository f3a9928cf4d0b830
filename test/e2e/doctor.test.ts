import { mkdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { tockd } from "../lab/programs.ts";
import { Scene } from "../lab/scene.ts";

/** What tockd doctor finds wrong on a server, and what it says to do. */

interface Finding {
  readonly name: string;
  readonly state: "ok" | "warn" | "fail";
  readonly message: string;
  readonly hint?: string;
  readonly run?: readonly string[];
}

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.set({ services: { ssh: { ports: ["tcp/22"] }, game: { ports: ["tcp/7777"] } } });
});
afterAll(() => scene[Symbol.asyncDispose]());

async function doctor(): Promise<{ code: number; findings: Finding[] }> {
  const { code, stdout } = await scene.daemon.command("doctor", "--json");
  return { code, findings: JSON.parse(stdout) as Finding[] };
}
const named = (findings: readonly Finding[], name: string, state: Finding["state"]) =>
  findings.filter((finding) => finding.name === name && finding.state === state);

describe("tock doctor", () => {
  interface Told {
    readonly ok: boolean;
    readonly findings: Finding[];
  }
  const ask = async (): Promise<{ code: number; told: Told }> => {
    const { code, stdout } = await scene.tock(scene.client, "doctor", "server", "--json", "--timeout", "1");
    return { code, told: JSON.parse(stdout) as Told };
  };

  test("finds the way in order, and says what is in the way", async () => {
    await scene.daemon.enrol(scene.client, "alice/laptop");
    const well = await ask();
    expect([well.code, well.told.ok]).toEqual([0, true]);
    for (const name of ["udp IPv4", "udp IPv6", "clock", "nat IPv4", "device"]) {
      expect(named(well.told.findings, name, "ok")).not.toEqual([]);
    }
    await scene.client.must(["ip6tables", "-A", "OUTPUT", "-p", "udp", "-j", "DROP"]);
    const half = await ask();
    expect([half.code, named(half.told.findings, "udp IPv6", "ok")]).toEqual([0, []]);
    await scene.client.must(["ip6tables", "-F", "OUTPUT"]);
    // At the wire, so that nobody sees it: other than a firewall in INPUT, which Tock looks in front of.
    const wire = `add chain netdev wire in { type filter hook ingress device ${scene.server.device} priority 0; }`;
    await scene.server.must([
      "nft",
      `add table netdev wire; ${wire}; add rule netdev wire in udp length 152 drop`,
    ]);
    const stun = await ask();
    await scene.server.must(["nft", "delete table netdev wire"]);
    expect(named(stun.told.findings, "udp IPv4", "warn")[0]?.hint).toBe("add --form stun to tock open");
    await scene.daemon.stop();
    const none = await ask();
    expect([none.code, none.told.ok]).toEqual([1, false]);
    expect(named(none.told.findings, "udp IPv4", "fail")[0]?.message).toMatch(
      /does not answer, in either form/,
    );
    await scene.daemon.start();
  });
});

describe("tockd doctor", () => {
  test("finds a healthy server in order", async () => {
    const { code, findings } = await doctor();
    expect(findings.filter(({ state }) => state === "fail")).toEqual([]);
    expect(code).toBe(0);
    for (const name of ["config", "daemon", "guard", "journal", "permissions", "address", "firewall"]) {
      expect(named(findings, name, "ok")).not.toEqual([]);
    }
    expect(named(findings, "service", "warn")[0]?.message).toBe("nothing listens on tcp/7777 of game");
    const { stdout } = await scene.daemon.command("doctor");
    expect(stdout).toMatch(/^ok {4}config {6}/);
  });

  const NFT_INPUT =
    "add table inet fw; add chain inet fw in { type filter hook input priority 0; policy drop; }";
  const WIRE =
    "add table netdev wire; add chain netdev wire in { type filter hook ingress device eth0 priority 0; }";
  test.each<[string, string, string, RegExp, RegExp]>([
    [
      "a policy",
      "iptables -P INPUT DROP",
      "iptables -P INPUT ACCEPT",
      /tcp\/22 of ssh .* -P INPUT DROP$/,
      /^iptables -A INPUT /,
    ],
    [
      "a policy of nftables",
      `nft '${NFT_INPUT}'`,
      "nft delete table inet fw",
      /tcp\/22 of ssh .* policy drop of chain inet fw in$/,
      /^nft add rule inet fw in tcp dport 22 accept$/,
    ],
    [
      "a rule that keeps Tock's replies in",
      "iptables -A OUTPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT; iptables -P OUTPUT DROP",
      "iptables -P OUTPUT ACCEPT; iptables -F OUTPUT",
      /what udp\/62201 of tockd answers is dropped .* -P OUTPUT DROP$/,
      /^iptables -A OUTPUT -p udp --sport 62201 -j ACCEPT$/,
    ],
    [
      "a rule that keeps a service's answers in",
      "iptables -A OUTPUT -p udp -j ACCEPT; iptables -A OUTPUT -p tcp --sport 22 -j REJECT",
      "iptables -F OUTPUT",
      /what tcp\/22 of ssh answers is dropped .* -A OUTPUT -p tcp -m tcp --sport 22 -j REJECT/,
      /^iptables -I OUTPUT 2 -m conntrack --ctstate ESTABLISHED -j ACCEPT$/,
    ],
    [
      "what drops packets to tockd right at the interface",
      `nft '${WIRE}; add rule netdev wire in udp dport 60000-65000 drop'`,
      "nft delete table netdev wire",
      /udp\/62201 of tockd is dropped .*: udp dport 60000-65000 drop in chain netdev wire in$/,
      /^nft insert rule netdev wire in handle \d+ ip6? daddr \S+ udp dport 62201 accept$/,
    ],
  ])("names the rule of another firewall that is in the way: %s", async (_, put, take, rule, run) => {
    await scene.server.must(["sh", "-c", put]);
    const { code, findings } = await doctor();
    const wrong = named(findings, "firewall", "fail");
    for (const command of wrong.flatMap((each) => each.run ?? []))
      await scene.server.must(["sh", "-c", command]);
    const mended = await doctor();
    await scene.server.must(["sh", "-c", `${take}; iptables -F`]);
    expect(code).toBe(1);
    expect(wrong.map(({ message }) => message)).toContainEqual(expect.stringMatching(rule));
    expect(wrong.flatMap((each) => each.run ?? [])).toContainEqual(expect.stringMatching(run));
    expect(named(mended.findings, "firewall", "fail")).toEqual([]);
    expect(named(mended.findings, "firewall", "ok")).toHaveLength(1);
  });

  test("tells what it could not look at from what is not there", async () => {
    const { daemon, server } = scene;
    const folder = server.path("broken");
    await mkdir(folder);
    await writeFile(`${folder}/nft`, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    const command = tockd("doctor", "--json", "--config", daemon.config);
    const { stdout } = await server.run(["unshare", "-n", "env", `PATH=${folder}:/usr/bin:/bin`, ...command]);
    const told = (JSON.parse(stdout) as Finding[]).filter(({ name }) => name === "firewall");
    expect(told.map(({ state, message }) => `${state}: ${message}`)).toEqual([
      "warn: nft -j list ruleset fails, so what it would tell of was not looked at",
      "warn: no interface but lo has an address, so nothing was looked at",
    ]);
  });

  test("prints nothing of a rule that would mean something to a terminal", async () => {
    const { daemon, server } = scene;
    const rule = ["INPUT", "-p", "tcp", "-m", "comment", "--comment", "red \u001b[31m", "-j", "DROP"];
    await server.must(["iptables", "-A", ...rule]);
    const { stdout } = await daemon.command("doctor");
    await server.must(["iptables", "-D", ...rule]);
    expect(stdout).toMatch(/dropped by the machine's own firewall: .*"red \\u\{1b\}\[31m" -j DROP$/m);
    expect(stdout).not.toContain("\u001b");
  });

  test("makes no table of iptables-legacy by looking for it", async () => {
    expect(await scene.server.must(["iptables-legacy-save"])).toBe("");
    await doctor();
    expect(await scene.server.must(["iptables-legacy-save"])).toBe("");
  });

  test.each([
    "iptables -t raw -A PREROUTING -p tcp --dport 22 -j NOTRACK",
    "nft add rule inet un pre tcp dport 22 notrack",
  ])("a rule that switches connection tracking off: %s", async (put) => {
    await scene.server.must([
      "nft",
      "add table inet un; add chain inet un pre { type filter hook prerouting priority raw; }",
    ]);
    await scene.server.must(["sh", "-c", put]);
    const { findings } = await doctor();
    await scene.server.must(["sh", "-c", "iptables -t raw -F; nft delete table inet un"]);
    const [found] = named(findings, "conntrack", "warn");
    expect(found?.message).toMatch(
      /^a rule switches connection tracking off for tcp\/22 of ssh: .*(NOTRACK|notrack)/,
    );
  });

  test.each([
    "iptables -t nat -A PREROUTING -p tcp --dport 2222 -j REDIRECT --to-ports 22",
    "nft add table ip side; nft 'add chain ip side pre { type nat hook prerouting priority dstnat; }'; nft add rule ip side pre tcp dport 2222 redirect to :22",
  ])("a port that is not guarded, and is led to one that is: %s", async (put) => {
    const { server, stranger } = scene;
    await server.must(["sh", "-ec", put]);
    expect(await scene.sees(stranger, 4)).toBe(false);
    expect(await scene.sees(stranger, 4, 2222)).toBe(true);
    const { code, findings } = await doctor();
    await server.must(["sh", "-c", "iptables -t nat -F; nft delete table ip side"]).catch(() => "");
    expect(code).toBe(1);
    expect(named(findings, "firewall", "fail")[0]?.message).toMatch(
      /^tcp\/2222 leads everybody past the guard to tcp\/22 of ssh: .*redirect/i,
    );
  });

  test("a guard on trial is not on", async () => {
    const { daemon, server } = scene;
    await daemon.must("guard", "off");
    await daemon.must("guard", "on", "--confirm", "10m", "--unchecked");
    await server.must(["iptables", "-P", "INPUT", "DROP"]);
    const { findings } = await doctor();
    await server.must(["iptables", "-P", "INPUT", "ACCEPT"]);
    await daemon.must("guard", "confirm", "--force");
    expect(named(findings, "guard", "warn")[0]?.message).toMatch(/^on, on trial until \d\d:\d\d:\d\d/);
    const dropped = named(findings, "firewall", "fail");
    expect(dropped[0]?.hint).toMatch(/^once the guard is on for good, .*iptables -A INPUT/);
    expect(dropped.every(({ run }) => run === undefined)).toBe(true);
  });

  test("addresses that clients cannot reach, or not by this machine alone, and a strict rp_filter", async () => {
    const { daemon, server } = scene;
    await server.must([
      "sh",
      "-ec",
      "ip link add away type veth peer name peer; ip addr add 203.0.113.9/24 dev away; ip addr add 203.0.113.10/32 dev lo; sysctl -qw net.ipv4.conf.eth0.rp_filter=1",
    ]);
    const addresses = [server.address.v4, "198.51.100.77", "203.0.113.9", "203.0.113.10", "nowhere.invalid"];
    const good = await readFile(daemon.config, "utf8");
    await writeFile(
      daemon.config,
      good.replace(/^addresses = .*$/m, `addresses = ${JSON.stringify(addresses)}`),
    );
    const { findings } = await doctor();
    await writeFile(daemon.config, good);
    await server.must([
      "sh",
      "-ec",
      "ip link del away; ip addr del 203.0.113.10/32 dev lo; sysctl -qw net.ipv4.conf.eth0.rp_filter=0",
    ]);
    const told = findings
      .filter(({ name }) => name === "address")
      .map(({ state, message }) => `${state}: ${message}`);
    expect(told).toEqual([
      `ok: ${server.address.v4} is this machine's, on eth0`,
      "warn: 198.51.100.77 is on none of this machine's interfaces",
      "fail: 203.0.113.9 is on away, which is down",
      "warn: 203.0.113.10 is on lo: only this machine itself is sure to reach it",
      "fail: nowhere.invalid cannot be resolved",
    ]);
    expect(named(findings, "rp_filter", "warn")[0]?.message).toMatch(/^strict on eth0/);
  });

  test("the guard that is off, lax permissions, a daemon that does not run", async () => {
    await scene.daemon.must("guard", "off");
    await scene.server.must(["iptables", "-P", "INPUT", "DROP"]);
    const off = named((await doctor()).findings, "firewall", "fail");
    expect(off.flatMap(({ hint, run = [] }) => [hint, ...run])).toContain(
      "after tockd guard on, for until then it lets everybody in: iptables -A INPUT -p tcp --dport 22 -j ACCEPT",
    );
    expect(off.every(({ run }) => run === undefined)).toBe(true);
    await scene.server.must(["chmod", "755", scene.daemon.state]);
    await scene.daemon.stop("SIGKILL");
    const { code, findings } = await doctor();
    await scene.server.must(["chmod", "700", scene.daemon.state]);
    await scene.server.must(["iptables", "-P", "INPUT", "ACCEPT"]);
    expect(named(findings, "firewall", "fail")).toEqual(off);
    expect(code).toBe(1);
    expect(named(findings, "daemon", "fail")[0]?.hint).toBe("start it: tockd run");
    expect(named(findings, "permissions", "fail")[0]?.hint).toMatch(/^chmod 0700/);
  });
});
