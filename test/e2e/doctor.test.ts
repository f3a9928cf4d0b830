import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Scene } from "../lab/scene.ts";

/** What tockd doctor finds wrong on a server, and what it says to do. */

interface Finding {
  readonly name: string;
  readonly state: "ok" | "warn" | "fail";
  readonly message: string;
  readonly hint?: string;
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

  test.each([
    [
      "iptables -P INPUT DROP",
      "iptables -P INPUT ACCEPT",
      "-P INPUT DROP",
      /iptables\S* -I INPUT -p tcp --dport 22 -j ACCEPT/,
    ],
    [
      "nft add table inet fw; nft 'add chain inet fw in { type filter hook input priority 0; policy drop; }'",
      "nft delete table inet fw",
      "policy drop of chain inet fw in",
      /nft insert rule inet fw in tcp dport 22 accept/,
    ],
  ])("names the rule of another firewall that drops what Tock opens: %s", async (put, take, rule, hint) => {
    await scene.server.must(["sh", "-c", put]);
    const { code, findings } = await doctor();
    await scene.server.must(["sh", "-c", take]);
    expect(code).toBe(1);
    const [found] = named(findings, "firewall", "fail");
    expect(found?.message).toContain(rule);
    expect(found?.hint).toMatch(hint);
  });

  test("a rule that switches connection tracking off", async () => {
    await scene.server.must(["sh", "-c", "iptables -t raw -A PREROUTING -p tcp --dport 22 -j NOTRACK"]);
    const { findings } = await doctor();
    await scene.server.must(["iptables", "-t", "raw", "-F"]);
    expect(
      named(findings, "conntrack", "warn")
        .map(({ message }) => message)
        .join(),
    ).toMatch(/NOTRACK|--notrack/);
  });

  test("the guard that is off, lax permissions, a daemon that does not run", async () => {
    await scene.daemon.must("guard", "off");
    await scene.server.must(["chmod", "755", scene.daemon.state]);
    await scene.daemon.stop("SIGKILL");
    const { code, findings } = await doctor();
    await scene.server.must(["chmod", "700", scene.daemon.state]);
    expect(code).toBe(1);
    expect(named(findings, "daemon", "fail")[0]?.hint).toBe("start it with tockd run");
    expect(named(findings, "permissions", "fail")[0]?.hint).toMatch(/^chmod 0700/);
  });
});
