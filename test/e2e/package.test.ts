import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Argv, must } from "../lab/exec.ts";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { tock } from "../lab/programs.ts";
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

let lab: Lab;
let server: Host;
let laptop: Host;
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
  [server, laptop] = await lab.hosts("server", "laptop");
  root = `${lab.folder}/debian`;
  const packages = "iptables,nftables,libatomic1,libstdc++6,adduser,util-linux,netcat-openbsd";
  await must(["debootstrap", "--variant=minbase", `--include=${packages}`, "bookworm", root], {
    timeout: 280_000,
  });
  copy = `${lab.folder}/copy`;
  await must(["git", "-C", ROOT, "checkout-index", "--all", `--prefix=${copy}/`]);
  await must(["ln", "-s", `${ROOT}node_modules`, `${copy}/node_modules`]);
  await build();
  deb = readdirSync(`${copy}/dist`).find((name) => name.endsWith(".deb")) ?? "";
  await must(["cp", `${copy}/dist/${deb}`, `${root}/root/`]);
  for (const folder of ["proc", "run"]) await mkdir(`${root}/${folder}`, { recursive: true });
  await must(["mount", "-t", "proc", "proc", `${root}/proc`]);
}, 600_000);

afterAll(async () => {
  await must(["umount", `${root}/proc`]).catch(() => undefined);
  await lab[Symbol.asyncDispose]();
}, 60_000);

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
    server.start(inside("nc", "-lk", "22"));
    const agent = await laptop.agent();
    expect(await agent.probe(v4, 22)).toBe("filtered");
    await laptop.must(tock("enroll", "-"), { input: `${link}\n` });
    await laptop.must(tock("open", "server"));
    await eventually("the port is open", async () => (await agent.probe(v4, 22)) === "open");
    await daemon.stop("SIGTERM");
    expect(await server.must(inside("tockd", "guard", "status"))).toBe("guard: on\n");
    // At boot there are no rules yet; the unit before the network puts them back.
    await server.must(["nft", "flush", "ruleset"]);
    await server.must(inside("tockd", "guard", "restore"));
    expect(await server.must(inside("tockd", "guard", "status"))).toBe("guard: on\n");
  });

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
