import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Capture } from "../lab/capture.ts";
import type { Host } from "../lab/host.ts";
import { tock } from "../lab/programs.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { SshServer } from "../lab/sshd.ts";
import { eventually, never } from "../lab/wait.ts";

/** ssh through tock: a real daemon, a real sshd, a real ssh and what runs on top of it. */

let scene: Scene;
let sshd: SshServer;
/** The options that ssh needs to know sshd's key and its own. */
let options: string[];
let config: string;

beforeAll(async () => {
  scene = await Scene.set(
    { services: { ssh: { ports: ["tcp/22"], ttl: "2s" } }, users: { alice: { knock: true } } },
    [],
  );
  sshd = await SshServer.start(scene.server);
  options = sshd.options(10);
  await scene.daemon.enrol(scene.client, "alice/laptop");
  const block = await scene.client.must(tock("ssh-config", "server", "--user", "root"));
  config = scene.client.path("ssh_config");
  const more = [`IdentityFile ${sshd.key}`, `UserKnownHostsFile ${sshd.knownHosts}`, "BatchMode yes"];
  await writeFile(config, `${block.trimEnd()}\n${more.map((line) => `  ${line}\n`).join("")}`);
});

afterAll(() => scene[Symbol.asyncDispose]());

const ssh = (...args: string[]) =>
  scene.client.run(tock("ssh", "root@server", ...options, ...args), { timeout: 30_000 });

describe("tock ssh", () => {
  test("gives the output of the command, and nothing of its own", async () => {
    const { code, stdout, stderr } = await ssh("echo out; echo err >&2");
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "out\n", stderr: "err\n" });
  });

  test.each([7, 255])("exits with ssh's exit code %i", async (wanted) => {
    expect((await ssh(`exit ${wanted}`)).code).toBe(wanted);
  });

  test("passes standard input on, to its end", async () => {
    const argv = tock("ssh", "root@server", ...options, "wc -c");
    const { stdout } = await scene.client.run(argv, { input: Buffer.alloc(3_000_000), timeout: 30_000 });
    expect(stdout.trim()).toBe("3000000");
  });

  test.each(FAMILIES)("over IPv%i alone", async (family) => {
    const argv = tock("ssh", `-${family}`, "root@server", ...options, "echo $SSH_CLIENT");
    const { code, stdout, stderr } = await scene.client.run(argv, { timeout: 30_000 });
    expect(code, stderr).toBe(0);
    expect(stdout.split(" ")[0]).toBe(scene.client.at(family));
  });

  test("SIGTERM ends ssh, the connection and itself", async () => {
    const process = scene.client.start(tock("ssh", "root@server", ...options, "echo in; sleep 60"));
    await process.waitFor(/^in$/m);
    const { code } = await process.stop("SIGTERM");
    // What ssh makes of a SIGTERM.
    expect(code).toBe(255);
    await eventually("sshd sees the end", async () => {
      const { stdout } = await scene.server.run(["ss", "-Htn", "state", "established", "sport", "22"]);
      return stdout.trim() === "";
    });
  });

  test("the door is for its own port: nobody else gets in from the same address", async () => {
    await Promise.all(FAMILIES.map((family) => scene.shuts(scene.client, family)));
    const process = scene.client.start(tock("ssh", "root@server", ...options, "echo in; sleep 60"));
    const inside = process.waitFor(/^in$/m);
    await never("another connection gets in", () => scene.sees(scene.client, 4), { during: 1_500 });
    await inside;
    await process.stop();
  });

  test("when the door is refused, the reason is told and ssh fails", async () => {
    const link = await scene.daemon.addDevice("alice/gone");
    await scene.client.must(tock("enroll", "-", "--name", "gone"), { input: link });
    await scene.daemon.must("device", "disable", "alice/gone");
    const { code, stderr } = await scene.client.run(tock("ssh", "root@gone", ...options, "true"));
    expect(code).toBe(255);
    expect(stderr).toContain("tock: error: gone refused: its policy does not allow this");
  });
});

describe("after tock ssh-config", () => {
  const plain = (...argv: [string, ...string[]]) => scene.client.run(argv, { timeout: 30_000 });

  test("plain ssh logs in", async () => {
    const { code, stdout, stderr } = await plain("ssh", "-F", config, "server", "echo in");
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: "in\n" });
  });

  test("scp copies there and back", async () => {
    const [from, back] = [scene.client.path("one"), scene.client.path("two")];
    const there = `server:${scene.server.path("copied")}`;
    await writeFile(from, "some text");
    for (const way of [
      [from, there],
      [there, back],
    ] as const) {
      // -O: this sshd has no sftp.
      const { code, stderr } = await plain("scp", "-O", "-F", config, ...way);
      expect(code, stderr).toBe(0);
    }
    expect(await readFile(back, "utf8")).toBe("some text");
  });

  test("git clones", async () => {
    const repository = scene.server.path("repository.git");
    await scene.server.must(["git", "init", "-q", "--bare", repository]);
    const clone = scene.client.path("clone");
    const argv = [
      "git",
      "-c",
      `core.sshCommand=ssh -F ${config}`,
      "clone",
      `server:${repository}`,
      clone,
    ] as const;
    const { code, stderr } = await plain(...argv);
    expect(code, stderr).toBe(0);
  });

  test("the secrets are in no process's arguments", async () => {
    const process = scene.client.start(["ssh", "-F", config, "server", "echo in; sleep 60"]);
    await process.waitFor(/^in$/m);
    const profile = await readFile(scene.client.path(".config/tock/profiles/server.json"), "utf8");
    const secret = /"current": "([^"]*)"/.exec(profile)?.[1] ?? "?";
    const { stdout } = await scene.client.run(["ps", "-eo", "args"]);
    await process.stop();
    expect(stdout).toContain(" proxy server ");
    expect(stdout).not.toContain(secret);
  });
});

describe("behind a NAT", () => {
  let inside: Host;
  let neighbour: Host;
  let gateway: Host;

  beforeAll(async () => {
    const lan = await scene.lab.hostsBehindNat("gate", "inside", "neighbour");
    gateway = lan.gateway;
    [inside, neighbour] = lan.hosts as [Host, Host];
    await scene.daemon.enrol(inside, "alice/inside");
  });

  const start = (...flags: string[]) =>
    inside.start(tock("ssh", ...flags, "root@server", ...options, "echo in; sleep 60"));

  test("that keeps source ports, a neighbour does not get in through the same address", async () => {
    const process = start("-4");
    const opened = process.waitFor(/^in$/m);
    await never("a neighbour gets in", () => scene.sees(neighbour, 4), { during: 1_500 });
    await opened;
    expect(process.stderr).toBe("");
    await process.stop();
  });

  test("that changes source ports, it opens for the address and says so", async () => {
    await gateway.must(["nft", "add rule ip nat post oifname eth0 masquerade random"]);
    await gateway.must(["nft", "insert rule ip nat post oifname eth0 masquerade random"]);
    const process = start("-4");
    await process.waitFor(/^in$/m);
    expect(process.stderr).toBe(
      "tock: warning: a NAT changes source ports, so this opens for others behind the same address too\n",
    );
    await process.stop();
  });
});

describe("tock knock", () => {
  test.each(FAMILIES)("sends one SYN to each port in order over IPv%i, and none again", async (family) => {
    const source = scene.client.at(family);
    await using capture = await Capture.start(
      scene.server,
      `tcp dst portrange 10000-32767 and src host ${source}`,
    );
    const output = await scene.client.run(tock("knock", "server", `-${family}`, "--json"));
    expect(output.code, output.stderr).toBe(3);
    const { ports } = JSON.parse(output.stdout) as { ports: number[] };
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const packets = await capture.packets(scene.client);
    expect(packets.map((packet) => packet.targetPort)).toEqual(ports);
  });

  test("sends the same by UDP", async () => {
    await using capture = await Capture.start(scene.server, "udp dst portrange 10000-32767");
    const output = await scene.client.run(tock("knock", "server", "-4", "--transport", "udp", "--json"));
    const { ports } = JSON.parse(output.stdout) as { ports: number[] };
    const packets = await capture.packets(scene.client);
    expect(packets.map((packet) => packet.targetPort)).toEqual(ports);
  });

  test("takes the other family where the first address cannot be reached", async () => {
    await scene.client.must(["ip", "addr", "flush", "dev", "eth0", "scope", "global"]);
    await scene.client.addAddress(scene.client.address.v6);
    const output = await scene.client.run(tock("knock", "server", "--json"));
    expect(JSON.parse(output.stdout)).toMatchObject({ result: "sent", address: scene.server.address.v6 });
    await scene.client.addAddress(scene.client.address.v4);
  });
});
