import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { FORMATS } from "../../client/sequence-formats.ts";
import type { Port, TimeStep } from "../../shared/brand.ts";
import { STEP_MILLIS } from "../../shared/constants.ts";
import type { Device } from "../lab/device.ts";
import { Knocker } from "../lab/knocker.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { SshServer } from "../lab/sshd.ts";
import { BACKENDS, type Backend } from "../lab/tock-server.ts";
import { eventually } from "../lab/wait.ts";

/** Rules that `tockd rules` prints, loaded with nobody running; and every tool as a client. */

const setup = (backend: Backend) => ({
  backend,
  services: { ssh: { ports: ["tcp/22"], ttl: "3s" } },
  users: { alice: { knock: true } },
  tables: { server: { engine: "kernel" }, knock: { ports: "20000-21023", length: 6 } },
});

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  let sshd: SshServer;
  let knocker: Knocker;
  let device: Device;

  beforeAll(async () => {
    scene = await Scene.set(setup(backend), [80]);
    sshd = await SshServer.start(scene.server);
    knocker = await Knocker.on(scene.client, scene.server, 40);
    device = await scene.device("alice/plain");
    await scene.daemon.stop();
    await scene.daemon.must("guard", "off");
  });
  afterAll(() => scene[Symbol.asyncDispose]());
  afterEach(async () => {
    await scene.daemon.must("guard", "off");
    for (const program of ["iptables", "ip6tables"]) {
      await scene.server.run([program, "-P", "INPUT", "ACCEPT"]);
      await scene.server.run([program, "-F"]);
    }
    await scene.server.run(["nft", "delete", "table", "inet", "filter"]);
  });

  const load = async (...flags: string[]): Promise<void> => {
    const formats =
      backend === "nftables"
        ? [["nft", "nft", "-f", "-"] as const]
        : ([
            ["iptables-restore", "iptables-restore"],
            ["ip6tables-restore", "ip6tables-restore"],
          ] as const);
    for (const [format, program, ...args] of formats) {
      const input = await scene.daemon.must("rules", "--format", format, ...flags);
      const more = format === "nft" || flags.includes("--standalone") ? [] : ["--noflush"];
      await scene.server.must([program, ...args, ...more], { input });
    }
  };

  /** The classic way: one nmap for each port. */
  const nmapKnocks = async (family: 4 | 6, at: number): Promise<void> => {
    const sequence = {
      ports: device.sequence(at) as Port[],
      step: 0 as TimeStep,
      millisLeft: 0,
      transport: "tcp" as const,
    };
    const lines = FORMATS.nmap(sequence, scene.server.at(family));
    await scene.client.must(["sh", "-c", lines.join("\n")]);
  };

  test.each(FAMILIES)(
    "printed once, they follow nmap's knocks over IPv%s, and the kernel ends them",
    async (family) => {
      // Whichever step it is when the rules are printed, the one of now and the one after it are among them.
      const at = Date.now();
      await load();
      expect(await scene.daemon.must("guard", "status")).toContain("guard: on");
      expect(await scene.sees(scene.client, family)).toBe(false);
      expect(await scene.sees(scene.client, family, 80)).toBe(true);
      await nmapKnocks(family, at);
      const login = await sshd.run(scene.client, scene.server.at(family), "echo in");
      expect(login, login.stderr).toMatchObject({ code: 0, stdout: "in\n" });
      expect(await scene.sees(scene.stranger, family)).toBe(false);
      await scene.shuts(scene.client, family);
      await nmapKnocks(family, at);
      expect(await scene.sees(scene.client, family)).toBe(false);
      const next = knocker.next(family);
      await knocker.knock(next, device.sequence(at + STEP_MILLIS));
      expect(await knocker.sees(next)).toBe(true);
      const scanner = knocker.next(family);
      const up = Array.from({ length: 1_024 }, (_, index) => 20_000 + index);
      for (let round = 0; round < 3; round++) await knocker.knock(scanner, up, 0);
      for (let round = 0; round < 3; round++) await knocker.knock(scanner, up.toReversed(), 0);
      expect(await knocker.sees(scanner)).toBe(false);
    },
  );

  test("steps that are over open nothing: the kernel knows the time", async () => {
    const step = Math.floor(Date.now() / STEP_MILLIS);
    await load("--steps", `${step - 3},${step - 2},${step},${step + 4}`);
    for (const [offset, opens] of [
      [-3, false],
      [-2, false],
      [4, false],
      [0, true],
    ] as const) {
      const source = knocker.next(4);
      await knocker.knock(source, device.sequence((step + offset) * STEP_MILLIS));
      expect(await knocker.sees(source), `${offset} steps off`).toBe(opens);
    }
  });

  test("standalone, everything else is shut, and sessions go on", async () => {
    const at = Date.now();
    await load("--standalone");
    for (const family of FAMILIES) {
      expect(await scene.sees(scene.client, family, 80)).toBe(false);
      const six = family === 6 ? ["-6"] : [];
      const ping = ["-n", "-sn", "-PE", "--disable-arp-ping", scene.server.at(family)];
      expect(await scene.client.must(["nmap", ...six, ...ping])).toContain("Host is up");
      const ports = device.sequence(at + (family === 4 ? 0 : STEP_MILLIS));
      const source = knocker.next(family);
      expect(await knocker.sees(source)).toBe(false);
      await knocker.knock(source, ports);
      expect(await knocker.sees(source)).toBe(true);
      expect(await knocker.sees(source, 80)).toBe(false);
      await eventually("it shuts", async () => !(await knocker.sees(source)));
    }
  });

  test("rules --apply is all that a timer needs: the steps move on, and what was used stays used", async () => {
    await scene.daemon.must("guard", "on");
    await scene.daemon.must("rules", "--apply");
    const [one, two, three] = [knocker.next(4), knocker.next(6), knocker.next(4)];
    const used = await scene.device("alice/timer");
    await scene.daemon.must("rules", "--apply");
    const ports = used.sequence();
    await knocker.knock(one, ports);
    expect(await knocker.sees(one)).toBe(true);
    const said = await scene.daemon.must("rules", "--apply");
    expect(said).toMatch(/granted .*device=alice\/timer/);
    for (const source of [two, three]) {
      await knocker.knock(source, ports);
      expect(await knocker.sees(source)).toBe(false);
    }
    const rules = backend === "nftables" ? ["nft", "list", "ruleset"] : ["iptables", "-t", "mangle", "-S"];
    const steps = new Set(
      (await scene.server.must(rules as [string, ...string[]])).match(/(?<=TOCKNOCK-|knock-)\d{8}/g),
    );
    expect(steps.size).toBeLessThanOrEqual(5);
  });

  test("names what is wrong in a call", async () => {
    const wrong = await scene.daemon.command("rules", "--steps", "soon");
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
    expect(wrong.stderr).toContain("--steps: expected now, next, previous, window or a step's number");
    expect((await scene.daemon.command("rules", "--device", "bob/phone")).stderr).toContain("no device");
  });
});

describe("any tool is a client", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.set({ ...setup("nftables"), users: { alice: { knock: true } } });
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const script = new URL("../../docs/examples/tock-knock.sh", import.meta.url).pathname;
  const tools: Readonly<Record<string, (ports: readonly number[], host: string) => string>> = {
    nmap: (ports, host) => lines("nmap", ports, host),
    nc: (ports, host) => lines("nc", ports, host),
    bash: (ports, host) => lines("bash", ports, host),
    knock: (ports, host) => lines("knock", ports, host),
    hping3: (ports, host) =>
      ports.map((port) => `hping3 -q -c 1 -S -p ${port} ${host} > /dev/null 2>&1 &\nsleep 0.1`).join("\n"),
  };
  const lines = (format: keyof typeof FORMATS, ports: readonly number[], host: string): string =>
    FORMATS[format](
      { ports: ports as Port[], step: 0 as TimeStep, millisLeft: 0, transport: "tcp" },
      host,
    ).join("\n");

  describe.each(Object.entries(tools))("%s", (name, make) => {
    const families = name === "hping3" ? ([4] as const) : FAMILIES;
    test.each(families)("sends a sequence over IPv%s that opens", async (family) => {
      const device = await scene.device(`alice/${name}${family}`);
      await scene.shuts(scene.client, family);
      await scene.client.run(["sh", "-c", make(device.sequence(), scene.server.at(family))], {
        timeout: 20_000,
      });
      await scene.daemon.logged("granted", { device: `alice/${name}${family}` });
    });
  });

  test("a page of sh sends one from a link in a file", async () => {
    const link = await scene.daemon.addDevice("alice/sh", "--static");
    await scene.client.must(["sh", "-c", `umask 077; cat > ${scene.client.path("link")}`], {
      input: `${link}\n`,
    });
    await scene.client.must(["sh", script, scene.client.path("link")]);
    await scene.daemon.logged("granted", { device: "alice/sh" });
    expect(readFileSync(script, "utf8").split("\n").length).toBeLessThan(100);
  });

  test("tock prints the lines of its own profile", async () => {
    await scene.daemon.enrol(scene.stranger, "alice/tock", "--static");
    const printed = await scene.tock(scene.stranger, "sequence", "server", "--nc");
    await scene.stranger.run(["sh", "-c", printed.stdout]);
    await scene.daemon.logged("granted", { device: "alice/tock" });
  });
});
