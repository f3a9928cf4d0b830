import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Argv, must } from "../lab/exec.ts";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { bootLack, Machine } from "../lab/machine.ts";
import { SshServer } from "../lab/sshd.ts";
import { eventually } from "../lab/wait.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const CAPABILITIES = "-all,+net_admin,+net_raw,+bpf";
/** As the unit runs it: not root, three capabilities, and no way to more. */
const UNPRIVILEGED: Argv = [
  "setpriv",
  "--reuid=tock",
  "--regid=tock",
  "--clear-groups",
  `--inh-caps=${CAPABILITIES}`,
  `--ambient-caps=${CAPABILITIES}`,
  `--bounding-set=${CAPABILITIES}`,
  "--no-new-privs",
];

const cannotBoot = await bootLack();
let lab: Lab;
let server: Host;
let laptop: Host;
let stranger: Host;
let root: string;
let deb: string;
/** A copy of the sources: other tests use what this one would build anew. */
let copy: string;

/** A command inside the new system, with the server's network. */
const inside = (...argv: string[]): Argv => [
  "env",
  "-i",
  "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
  "chroot",
  root,
  ...argv,
];

beforeAll(async () => {
  lab = await Lab.create();
  [server, laptop, stranger] = await lab.hosts("server", "laptop", "stranger");
  root = `${lab.folder}/debian`;
  const packages =
    "iptables,nftables,libatomic1,libstdc++6,adduser,util-linux,iproute2,systemd,systemd-sysv,dbus";
  await must(["mmdebstrap", "--quiet", "--variant=minbase", `--include=${packages}`, "bookworm", root], {
    timeout: 560_000,
  });
  copy = `${lab.folder}/copy`;
  await must(["git", "-C", ROOT, "checkout-index", "--all", `--prefix=${copy}/`]);
  await must(["ln", "-s", `${ROOT}node_modules`, `${copy}/node_modules`]);
  await build();
  deb = readdirSync(`${copy}/dist`).find((name) => name.endsWith(".deb")) ?? "";
  await must(["cp", `${copy}/dist/${deb}`, `${root}/root/`]);
  await mkdir(laptop.path("alone"));
  await must(["cp", `${copy}/dist/tock.js`, laptop.path("alone")]);
  for (const folder of ["proc", "run"]) await mkdir(`${root}/${folder}`, { recursive: true });
  await must(["mount", "-t", "proc", "proc", `${root}/proc`]);
}, 900_000);

/** The client as one file, in a folder that holds nothing else. */
function tock(...args: string[]): Argv {
  return [process.execPath, laptop.path("alone", "tock.js"), ...args];
}

/** What a host sees of the protected port. */
async function agentOf(host: Host): Promise<{ probe(): Promise<string>; isOpen(): Promise<boolean> }> {
  const agent = await host.agent();
  const probe = (): Promise<string> => agent.probe(server.address.v4, 22);
  return { probe, isOpen: async () => (await probe()) === "open" };
}

afterAll(async () => {
  await must(["umount", `${root}/proc`]).catch(() => undefined);
  await lab[Symbol.asyncDispose]();
}, 120_000);

async function build(): Promise<void> {
  const env = { SOURCE_DATE_EPOCH: "1800000000", HOME: lab.folder };
  await must([process.execPath, `${copy}/scripts/package.ts`], { timeout: 280_000, env });
}

function sha256(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

describe("the Debian package, in a system that has nothing else", () => {
  let before: string;

  test("installs", async () => {
    before = await rules();
    await server.must(inside("dpkg", "-i", `/root/${deb}`), { timeout: 120_000 });
    expect(await server.must(inside("tock", "--version"))).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await server.must(inside("tockd", "--version"))).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(existsSync(`${root}/usr/share/man/man8/tockd.8.gz`)).toBe(true);
    await server.must(inside("tockd", "web", "--site", "/tmp/site"));
    expect(existsSync(`${root}/tmp/site/index.html`)).toBe(true);
  });

  test("guards, enrols and opens, with the daemon as its unit runs it", async () => {
    const { v4 } = server.address;
    await server.must(inside("tockd", "init", "--name", "server", "--address", v4, "--user", "alice"));
    await server.must(inside("install", "-d", "-o", "tock", "-g", "tock", "/run/tock"));
    const daemon = server.start(inside(...UNPRIVILEGED, "/usr/sbin/tockd", "run"));
    await daemon.waitFor(/ready/);
    await server.must(inside("tockd", "guard", "on", "--unchecked"));
    const link = /tock:\S+/.exec(
      await server.must(inside("tockd", "device", "add", "alice/laptop", "--link")),
    )?.[0];
    const sshd = await SshServer.start(server);
    expect(await (await agentOf(laptop)).probe()).toBe("filtered");
    await laptop.must(tock("enroll", "-"), { input: `${link}\n` });
    await laptop.must(tock("open", "server"));
    await eventually("the port is open", async () => (await agentOf(laptop)).isOpen());
    const session = await sshd.run(laptop, v4, "echo $SSH_CONNECTION");
    expect([session.code, session.stdout.split(" ")[0]]).toEqual([0, laptop.address.v4]);
    await daemon.stop("SIGTERM");
    expect(await server.must(inside("tockd", "guard", "status"))).toBe("guard: on\n");
    // At boot there are no rules yet; the unit before the network puts them back.
    await server.must(["nft", "flush", "ruleset"]);
    await server.must(inside("tockd", "guard", "restore"));
    expect(await server.must(inside("tockd", "guard", "status"))).toBe("guard: on\n");
  });

  describe.skipIf(cannotBoot)(
    `under a real systemd${cannotBoot === undefined ? "" : ` (${cannotBoot})`}`,
    () => {
      let machine: Machine;
      const restarts = async (): Promise<number> => Number(await machine.show("tockd", "NRestarts"));
      const opens = async (): Promise<boolean> => (await agentOf(laptop)).isOpen();
      /** What somebody without a device sees while `body` runs. */
      const seenDuring = async (body: () => Promise<unknown>): Promise<Set<string>> => {
        const seen = new Set<string>();
        const over = new AbortController();
        const watching = (async () => {
          while (!over.signal.aborted) seen.add(await (await agentOf(stranger)).probe());
        })();
        await body().finally(() => over.abort());
        await watching;
        return seen;
      };

      beforeAll(async () => {
        machine = new Machine(server, root);
        await machine.boot();
      });
      afterAll(() => machine[Symbol.asyncDispose]());

      test("the units are in order and their sandbox is what the documentation says", async () => {
        for (const unit of ["tockd.service", "tock-guard.service"]) {
          const checked = await machine.run("systemd-analyze", "verify", "--man=no", unit);
          expect([checked.code, checked.stderr]).toEqual([0, ""]);
        }
        const text = readFileSync(`${ROOT}docs/OPERATIONS.md`, "utf8");
        for (const unit of ["tockd.service", "tock-guard.service"]) {
          const score = await machine.must(["systemd-analyze", "security", "--no-pager", unit]);
          const [, exposure] = /exposure level for \S+: (\S+)/.exec(score) ?? [];
          expect(text).toContain(`| \`${unit}\` | ${exposure} |`);
        }
      });

      test("the daemon says when it is ready, runs without root, and sees packets in its sandbox", async () => {
        await machine.must(["systemctl", "enable", "--now", "tockd", "tock-guard"]);
        expect(await machine.show("tockd", "ActiveState")).toBe("active");
        const pid = await machine.show("tockd", "MainPID");
        const status = await machine.must(["cat", `/proc/${pid}/status`]);
        expect(status).toMatch(/^Uid:\t(?!0\t)/m);
        expect(status).toMatch(/^CapBnd:\t0000008000003000$/m);
        expect(status).toMatch(/^Seccomp:\t2$/m);
        await laptop.must(tock("open", "server"));
        await eventually("the port is open", opens);
        const { filter, clock } = JSON.parse(await machine.must(["tockd", "status", "--json"])) as {
          filter: string;
          clock: unknown;
        };
        expect(filter).toBe("ebpf");
        expect(clock).not.toBeNull();
      });

      test("hooks run in the sandbox, without the daemon's capabilities", async () => {
        const hook = "grep CapEff /proc/self/status > /run/tock/hook; echo $TOCK_USER >> /run/tock/hook";
        const table = `\n[hooks]\non_grant = ["/bin/sh", "-c", "${hook}"]\n`;
        await machine.must(["tee", "--append", "/etc/tock/tockd.toml"], { input: table });
        await machine.must(["tockd", "reload"]);
        await laptop.must(tock("open", "server"));
        const said = async (): Promise<string> => (await machine.run("cat", "/run/tock/hook")).stdout;
        await eventually("the hook ran", async () => (await said()).includes("alice"));
        expect(await said()).toBe("CapEff:\t0000000000000000\nalice\n");
      });

      test("an upgrade with a mistake in the configuration leaves the daemon that runs", async () => {
        const pid = await machine.show("tockd", "MainPID");
        await machine.must(["cp", "/etc/tock/tockd.toml", "/root/good.toml"]);
        await machine.must(["tee", "--append", "/etc/tock/tockd.toml"], { input: "\nrubbish = [\n" });
        const upgrade = await machine.run("dpkg", "-i", `/root/${deb}`);
        expect([upgrade.code, upgrade.stderr]).toEqual([0, expect.stringMatching(/has a mistake: mend it/)]);
        expect(await machine.show("tockd", "MainPID")).toBe(pid);
        await laptop.must(tock("open", "server"));
        await machine.must(["cp", "/root/good.toml", "/etc/tock/tockd.toml"]);
      });

      test("killed, it comes back by itself and the grants are kept", async () => {
        const lastUsed = async (): Promise<string> =>
          await machine.must(["tockd", "device", "list", "--json"]);
        const unused = await lastUsed();
        await laptop.must(tock("open", "server", "--for", "10m"));
        // Who has what open is written down once a second.
        await eventually("the grant is on record", async () => (await lastUsed()) !== unused);
        const before = await restarts();
        const seen = await seenDuring(async () => {
          await machine.must(["systemctl", "kill", "--signal=SIGKILL", "tockd"]);
          await eventually(
            "it is back",
            async () => (await restarts()) > before && (await machine.isActive("tockd")),
          );
        });
        expect([...seen]).toEqual(["filtered"]);
        expect(await opens()).toBe(true);
        expect(await machine.must(["tockd", "grants"])).toMatch(/alice\/laptop +ssh/);
      });

      test("a reload by systemctl is a reload", async () => {
        await machine.must(["sed", "-i", 's/^#ttl = .*/ttl = "40s"/', "/etc/tock/tockd.toml"]);
        await machine.must(["systemctl", "reload", "tockd"]);
        await eventually("it is done", async () => {
          const { reloads } = JSON.parse(await machine.must(["tockd", "status", "--json"])) as {
            reloads: number;
          };
          return reloads === 1;
        });
      });

      test("an upgrade keeps the guard and the grants", async () => {
        const pid = await machine.show("tockd", "MainPID");
        const seen = await seenDuring(() => machine.must(["dpkg", "-i", `/root/${deb}`]));
        expect([...seen]).toEqual(["filtered"]);
        expect(await machine.show("tockd", "MainPID")).not.toBe(pid);
        expect(await machine.isActive("tockd")).toBe(true);
        expect(await machine.must(["tockd", "guard", "status"])).toBe("guard: on\n");
        expect(await opens()).toBe(true);
        expect(await machine.must(["tockd", "grants"])).toMatch(/alice\/laptop +ssh/);
      });

      test.each([
        ["stands still", ["systemctl", "kill", "--signal=SIGSTOP", "tockd"], ["true"]],
        ["sees no packets", ["ip", "link", "set", "lo", "down"], ["ip", "link", "set", "lo", "up"]],
      ])("one that %s is started again by the watchdog", async (_name, harm, mend) => {
        await machine.must(["mkdir", "-p", "/run/systemd/system/tockd.service.d"]);
        const impatient = "[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n";
        await machine.must(["tee", "/run/systemd/system/tockd.service.d/test.conf"], { input: impatient });
        await machine.must(["systemctl", "daemon-reload"]);
        await machine.must(["systemctl", "restart", "tockd"]);
        const before = await restarts();
        await machine.must(harm);
        await eventually("it was started again", async () => (await restarts()) > before, { within: 60_000 });
        await machine.must(mend);
        expect(await machine.must(["journalctl", "-u", "tockd", "-o", "cat"])).toMatch(/[Ww]atchdog timeout/);
        await machine.must(["rm", "-r", "/run/systemd/system/tockd.service.d"]);
        await machine.must(["systemctl", "daemon-reload"]);
        await machine.must(["systemctl", "restart", "tockd"]);
        expect(await machine.isActive("tockd")).toBe(true);
      });

      test("with iptables-legacy too, whose lock is root's", async () => {
        const use = async (variant: string): Promise<void> => {
          await machine.must(["tockd", "guard", "off"]);
          for (const program of ["iptables", "ip6tables"]) {
            const path = `/usr/sbin/${program}-${variant}`;
            await machine.must(["update-alternatives", "--set", program, path]);
          }
          await machine.must(["systemctl", "restart", "tockd"]);
          await machine.must(["tockd", "guard", "on", "--unchecked"]);
        };
        await use("legacy");
        expect(await machine.isActive("tockd")).toBe(true);
        expect(await machine.must(["iptables-legacy-save", "-t", "mangle"])).toMatch(/TOCK/i);
        expect(await (await agentOf(stranger)).probe()).toBe("filtered");
        await use("nft");
      });

      test("at boot the guard is up before the network: the port is not open for a moment", async () => {
        // As every network manager does it: after network-pre.target, before network.target.
        const unit = `[Unit]
DefaultDependencies=no
After=network-pre.target
Before=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/ip link set eth0 up
[Install]
WantedBy=sysinit.target
`;
        await machine.must(["tee", "/etc/systemd/system/network.service"], { input: unit });
        // Debian's own rules begin with a flush.
        await machine.must(["systemctl", "enable", "network", "nftables"]);
        await machine.shutDown();
        await server.must(["nft", "flush", "ruleset"]);
        await server.must(["ipset", "destroy"]);
        await server.must(["ip", "link", "set", "eth0", "down"]);
        const seen = await seenDuring(async () => {
          await machine.boot();
          await eventually("the daemon runs", () => machine.isActive("tockd"), { within: 60_000 });
        });
        expect([...seen]).not.toContain("open");
        expect(await (await agentOf(stranger)).probe()).toBe("filtered");
        const at = async (unit: string, when: string): Promise<number> =>
          Number(await machine.show(unit, `${when}TimestampMonotonic`));
        expect(await at("tock-guard", "ExecMainExit")).toBeLessThan(await at("network", "ExecMainStart"));
        expect(await at("nftables", "ExecMainExit")).toBeGreaterThan(0);
        expect(await at("nftables", "ExecMainExit")).toBeLessThan(await at("tock-guard", "ExecMainStart"));
        await machine.must(["systemctl", "disable", "nftables"]);
        await machine.must(["nft", "delete", "table", "inet", "filter"]);
        await laptop.must(tock("open", "server"));
        await eventually("the port is open", opens);
      });

      test("removing it stops the units and leaves no rule", async () => {
        await machine.must(["dpkg", "-r", "tock"]);
        expect(await machine.isActive("tockd")).toBe(false);
        expect(await rules()).toBe(before);
        await machine.must(["dpkg", "-i", `/root/${deb}`]);
        expect(await machine.must(["tockd", "guard", "on", "--unchecked"])).toMatch(/^guard: on/);
        await machine.shutDown();
      });
    },
  );

  test("leaves nothing but configuration and state when it is removed, and nothing when it is purged", async () => {
    await server.must(inside("dpkg", "-r", "tock"), { timeout: 120_000 });
    expect(await rules()).toBe(before);
    const left = await server.must(
      inside("find", "/etc", "/usr", "/lib", "/var", "-name", "*tock*", "-not", "-name", "Stockholm"),
    );
    const expected = /^\/(etc\/tock|var\/lib\/tock|var\/lib\/dpkg\/info\/tock\.|var\/cache\/)/;
    expect(left.split("\n").filter((path) => path !== "" && !expected.test(path))).toEqual([]);
    await server.must(inside("dpkg", "--purge", "tock"), { timeout: 120_000 });
    expect(existsSync(`${root}/etc/tock`)).toBe(false);
    expect(existsSync(`${root}/var/lib/tock`)).toBe(false);
  });
});

test("two builds are the same, byte for byte", async () => {
  const made = readFileSync(`${copy}/dist/SHA256SUMS`, "utf8");
  expect(made).toContain(`${sha256(`${copy}/dist/${deb}`)}  ${deb}`);
  await rm(`${copy}/dist`, { recursive: true });
  await build();
  expect(readFileSync(`${copy}/dist/SHA256SUMS`, "utf8")).toBe(made);
}, 300_000);

test("the tarball holds both commands, and they run", async () => {
  const tarball = readdirSync(`${copy}/dist`).find((name) => name.endsWith(".tgz")) ?? "";
  const folder = `${lab.folder}/unpacked`;
  await mkdir(folder);
  await must(["tar", "-xzf", `${copy}/dist/${tarball}`, "-C", folder]);
  await must(["ln", "-s", `${ROOT}node_modules`, `${folder}/package/node_modules`]);
  const { bin } = JSON.parse(readFileSync(`${folder}/package/package.json`, "utf8")) as {
    bin: Record<string, string>;
  };
  expect(Object.keys(bin)).toEqual(["tock", "tockd"]);
  for (const file of Object.values(bin)) {
    const version = await must([process.execPath, `${folder}/package/${file}`, "--version"]);
    expect(version).toMatch(/^\d+\.\d+\.\d+\n$/);
  }
}, 60_000);

async function rules(): Promise<string> {
  const all = await Promise.all([
    server.must(["nft", "list", "ruleset"]),
    server.must(["iptables-save"]),
    server.must(["ip6tables-save"]),
  ]);
  return all.join("").replaceAll(/^#.*$|\[\d+:\d+\]/gm, "");
}
