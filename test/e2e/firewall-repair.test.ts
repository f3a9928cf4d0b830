import { chmod, mkdir, writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { GuardPlan } from "../../server/core/firewall.ts";
import type { Argv } from "../lab/exec.ts";
import { type BackendName, ports, RemoteFirewall, service } from "../lab/firewall.ts";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { eventually, never } from "../lab/wait.ts";

/** What others do to the packet filter is seen, and can be put right; what fails is said. */

const web = service("web", "tcp/8000");
const plan: GuardPlan = { services: [web], silent: [ports("udp/62201")] };

let lab: Lab;
let server: Host;
let client: Host;
let firewall: RemoteFirewall;

beforeAll(async () => {
  lab = await Lab.create();
  [server, client] = await lab.hosts("server", "client");
  await (await server.agent()).listen("tcp", 8000);
});
afterAll(() => lab[Symbol.asyncDispose]());

async function isOpen(): Promise<boolean> {
  const agent = await client.agent();
  return (await agent.probe(server.address.v4, 8000, { timeout: 150 })) === "open";
}

const IPTABLES_DAMAGE: readonly (readonly string[])[] = [
  ["-t", "mangle", "-F", "PREROUTING"],
  ["-t", "mangle", "-F"],
  ["-t", "mangle", "-F", "TOCK-web"],
  ["-t", "mangle", "-D", "TOCK-GUARD", "3"],
  ["-t", "mangle", "-I", "TOCK-web", "-p", "tcp", "-j", "ACCEPT"],
  ["-t", "mangle", "-A", "TOCK-GUARD", "-j", "RETURN"],
  ["-t", "mangle", "-I", "PREROUTING", "-p", "tcp", "-j", "ACCEPT"],
  ["-t", "mangle", "-I", "PREROUTING", "-m", "comment", "--comment", "was -j DROP once", "-j", "ACCEPT"],
];

describe.each<BackendName>(["iptables", "iptables-legacy"])("%s", (backend) => {
  const variant = backend === "iptables" ? "" : "-legacy";

  beforeEach(async () => {
    firewall = await RemoteFirewall.start(server, backend);
    await firewall.on(plan);
    await firewall.open(web, client.address.v4, 100);
  });
  afterEach(async () => {
    await firewall.off();
    await firewall.process.stop();
    for (const program of ["iptables", "ip6tables"]) {
      await server.must([`${program}${variant}`, "-t", "mangle", "-F", "PREROUTING"]);
    }
  });

  test.each(IPTABLES_DAMAGE.flatMap((args) => [["iptables", args] as const, ["ip6tables", args] as const]))(
    "%s %j is seen and put right, and grants stay",
    async (program, args) => {
      await server.must([`${program}${variant}`, ...args] as unknown as Argv);
      expect(await firewall.state(plan)).toBe("damaged");
      await firewall.on(plan);
      expect(await firewall.state(plan)).toBe("on");
      expect(await firewall.list()).toHaveLength(1);
    },
  );

  test("a harmless rule before the guard's is left there", async () => {
    const mark = ["PREROUTING", "-p", "tcp", "-j", "MARK", "--set-xmark", "0x1/0x1"];
    await server.must([`iptables${variant}`, "-t", "mangle", "-I", ...mark]);
    expect(await firewall.state(plan)).toBe("on");
    await firewall.on({ ...plan, silent: [] });
    const listed = await server.must([`iptables${variant}`, "-t", "mangle", "-S", "PREROUTING"]);
    expect(listed.split("\n")[1]).toContain("MARK");
  });

  test("a guard that is taken out by hand is off, and its sets go with the next guard off", async () => {
    for (const program of ["iptables", "ip6tables"]) {
      for (const args of [["-F"], ["-X"]])
        await server.must([`${program}${variant}`, "-t", "mangle", ...args]);
    }
    expect(await firewall.state(plan)).toBe("off");
    await firewall.off();
    expect(await server.must(["ipset", "list", "-n"])).toBe("");
  });
});

test("iptables: nft flush ruleset is heard, the guard is back at once, and the grants are still there", async () => {
  firewall = await RemoteFirewall.start(server, "iptables");
  await firewall.on(plan);
  await firewall.open(web, "198.51.100.9", 100);
  await firewall.keep(plan);
  expect(await isOpen()).toBe(false);
  await server.must(["nft", "flush", "ruleset"]);
  const took = await eventually("the guard is back", async () => (await firewall.state(plan)) === "on");
  expect(took).toBeLessThan(4_000);
  expect(await isOpen()).toBe(false);
  expect(await firewall.list()).toHaveLength(1);
  await firewall.off();
  await firewall.process.stop();
});

test("iptables-legacy: a flush, of which no event tells, is found by looking", async () => {
  firewall = await RemoteFirewall.start(server, "iptables-legacy");
  await firewall.on(plan);
  await firewall.keep(plan);
  await server.must(["iptables-legacy", "-t", "mangle", "-F"]);
  expect(await firewall.state(plan)).toBe("damaged");
  await eventually("the guard is back", async () => (await firewall.state(plan)) === "on");
  expect(await isOpen()).toBe(false);
  await firewall.off();
  await firewall.process.stop();
});

describe("nftables", () => {
  beforeEach(async () => {
    firewall = await RemoteFirewall.start(server, "nftables");
    await firewall.on(plan);
    await firewall.open(web, client.address.v4, 100);
  });
  afterEach(async () => {
    await firewall.off();
    await firewall.process.stop();
  });

  test("nobody else's flush or change touches a guard that runs", async () => {
    const attempts: Argv[] = [
      ["nft", "flush", "ruleset"],
      ["nft", "delete", "table", "inet", "tock"],
      ["nft", "flush", "chain", "inet", "tock", "guard"],
      ["nft", "insert", "rule", "inet", "tock", "guard", "accept"],
      ["nft", "add", "element", "inet", "tock", "tock4-web", "{ 192.0.2.99 }"],
    ];
    for (const argv of attempts) await server.run(argv);
    expect(await firewall.state(plan)).toBe("on");
    expect(await firewall.list()).toHaveLength(1);
  });

  test("a second process is told that the guard is another's", async () => {
    const second = await RemoteFirewall.start(server, "nftables");
    expect(await second.state(plan)).toBe("on");
    await expect(second.off()).rejects.toMatchObject({
      code: "firewall",
      message: /EPERM/,
      hint: /tockd is running/,
    });
    await expect(second.open(web, "192.0.2.99", 10)).rejects.toMatchObject({ code: "firewall" });
    await second.process.stop();
    expect(await firewall.state(plan)).toBe("on");
  });

  const damage: readonly string[] = [
    "flush chain inet tock guard",
    "flush chain inet tock service-web",
    "insert rule inet tock guard accept",
    "add rule inet tock service-web accept",
    "flush chain inet tock guard && delete chain inet tock guard",
    "flush chain inet tock guard && delete chain inet tock guard && add chain inet tock guard { type filter hook input priority 0; }",
  ];
  test.each(damage)("what somebody did while no daemon ran is put right: %s", async (script) => {
    await firewall.kill();
    const lines = script.split(" && ").join("\n");
    await server.must(["nft", "-f", "-"], { input: `${lines}\n` });
    firewall = await RemoteFirewall.start(server, "nftables");
    expect(await firewall.state(plan)).toBe("damaged");
    await firewall.on(plan);
    expect(await firewall.state(plan)).toBe("on");
    expect(await firewall.list()).toHaveLength(1);
    expect(await isOpen()).toBe(true);
    await firewall.close(web, client.address.v4);
    expect(await isOpen()).toBe(false);
  });

  test("a guard that was flushed while no daemon ran is off, and can be put in again", async () => {
    await firewall.kill();
    await server.must(["nft", "flush", "ruleset"]);
    firewall = await RemoteFirewall.start(server, "nftables");
    expect(await firewall.state(plan)).toBe("off");
    await firewall.on(plan);
    expect(await isOpen()).toBe(false);
  });

  test("an ordinary table, as on kernels that cannot own one, is put back when somebody flushes it", async () => {
    await firewall.off();
    await server.must(["nft", "add", "table", "inet", "tock"]);
    await firewall.on(plan);
    expect(await firewall.state(plan)).toBe("on");
    await server.must(["nft", "add", "table", "inet", "tock", "{ flags dormant; }"]);
    expect(await firewall.state(plan)).toBe("damaged");
    await firewall.on(plan);
    expect(await firewall.state(plan)).toBe("on");
    await firewall.keep(plan);
    await server.must(["nft", "flush", "ruleset"]);
    await eventually("the guard is back", async () => (await firewall.state(plan)) === "on");
    expect(await isOpen()).toBe(false);
  });
});

describe("a change of backend", () => {
  const all: BackendName[] = ["iptables", "iptables-legacy", "nftables"];
  const changes = all.flatMap((from) => all.filter((to) => to !== from).map((to) => [from, to] as const));

  test.each(changes)("from %s to %s takes the old guard out, and grants open", async (from, to) => {
    const old = await RemoteFirewall.start(server, from);
    await old.on(plan);
    await old.process.stop();
    firewall = await RemoteFirewall.start(server, to);
    await firewall.on(plan);
    expect(await isOpen()).toBe(false);
    await firewall.open(web, client.address.v4, 60);
    expect(await isOpen()).toBe(true);
    await firewall.off();
    expect(await server.must(["ipset", "list", "-n"])).toBe("");
    for (const family of ["", "6"]) {
      const listed = await server.must([`ip${family}tables-legacy`, "-t", "mangle", "-S"]);
      expect(listed).not.toContain("TOCK");
    }
    expect((await server.must(["nft", "list", "ruleset"])).toLowerCase()).not.toContain("tock");
    await firewall.process.stop();
  });
});

describe.each<BackendName>(["iptables", "nftables"])("the watch of %s", (backend) => {
  test("hears what others do, and not the grants", async () => {
    firewall = await RemoteFirewall.start(server, backend);
    await firewall.on(plan);
    await firewall.watch();
    // It looks every 5 s all the same: only what comes sooner was heard.
    await firewall.open(web, client.address.v4, 100);
    await firewall.close(web, client.address.v4);
    await never("a grant is heard", async () => (await firewall.changes()) > 0, { during: 500 });
    await server.must(["nft", "add", "table", "inet", "other"]);
    const took = await eventually("the change is heard", async () => (await firewall.changes()) > 0);
    expect(took).toBeLessThan(3_000);
    await server.must(["nft", "delete", "table", "inet", "other"]);
    await firewall.off();
    await firewall.process.stop();
  });
});

test("a backend is chosen by what the machine has, and a running guard does not change that", async () => {
  firewall = await RemoteFirewall.start(server, "nftables");
  expect(await firewall.detect()).toMatchObject({ backend: "iptables" });
  await firewall.on(plan);
  expect(await firewall.detect()).toMatchObject({ backend: "iptables" });
  await server.must(["nft", "add", "table", "inet", "filter"]);
  const native = { backend: "nftables", reason: expect.stringContaining("inet filter") as string };
  expect(await firewall.detect()).toMatchObject(native);
  await server.must(["nft", "delete", "table", "inet", "filter"]);
  await firewall.off();
  await firewall.process.stop();
});

describe("what fails is said", () => {
  const tools = { iptables: "ip6tables-restore", nftables: "nft" } as const;

  test.each(["iptables", "nftables"] as const)(
    "%s: a tool that fails, and one that is not there",
    async (backend) => {
      const folder = server.path(`broken-${backend}`);
      await mkdir(folder);
      const tool = `${folder}/${tools[backend]}`;
      await writeFile(tool, "#!/bin/sh\necho 'line 7 failed: out of luck' >&2\nexit 4\n");
      await chmod(tool, 0o755);
      const env = { PATH: `${folder}:${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };
      const broken = await RemoteFirewall.start(server, backend, { env });
      await expect(broken.on(plan)).rejects.toMatchObject({
        code: "firewall",
        message: `${tools[backend]}: line 7 failed: out of luck (exit code 4)`,
      });
      expect(await broken.state(plan)).toBe("damaged");
      await writeFile(tool, `#!/bin/sh\nexec /usr/sbin/${tools[backend]} "$@"\n`);
      await broken.on(plan);
      expect(await broken.state(plan)).toBe("on");
      await broken.off();
      await broken.process.stop();
    },
  );

  test.each(["iptables", "nftables"] as const)("%s without the capability", async (backend) => {
    const argv: Argv = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"];
    const lesser = await RemoteFirewall.start(server, backend, {}, argv);
    const reason = { code: "firewall", hint: /CAP_NET_ADMIN/ };
    await expect(lesser.on(plan)).rejects.toMatchObject(reason);
    await expect(lesser.open(web, client.address.v4, 10)).rejects.toMatchObject(reason);
    await expect(lesser.state(plan)).rejects.toMatchObject(reason);
    await lesser.process.stop();
  });
});
