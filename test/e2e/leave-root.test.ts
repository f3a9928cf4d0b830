import { readdirSync, readFileSync, statSync } from "node:fs";
import { chmod, chown, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { userIds } from "../../server/sys/accounts.ts";
import { MAX_SKEW } from "../../shared/constants.ts";
import { Lab } from "../lab/lab.ts";
import { Scene } from "../lab/scene.ts";
import { BACKENDS, type ServerSetup, TockServer } from "../lab/tock-server.ts";
import { eventually } from "../lab/wait.ts";

/** A daemon that is started as root becomes an ordinary user with three capabilities, and still does everything. */

/** A user that every Debian has, and that is nobody here. */
const USER = "daemon";
const THREE = (1n << 12n) | (1n << 13n) | (1n << 39n);
const ids = userIds(USER) ?? { uid: -1, gid: -1 };

/** The lines of /proc/PID/task/TID/status of every thread, as name → value. */
function threads(pid: number): Map<string, string>[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const lines = readFileSync(`/proc/${pid}/task/${thread}/status`, "latin1").split("\n");
    return new Map(lines.map((line) => line.split(":\t") as [string, string]));
  });
}

/** The daemon's own process: what the lab has started becomes it by exec. */
function setup(more: ServerSetup = {}): ServerSetup {
  return { user: USER, users: { alice: { knock: true } }, ...more };
}

describe.each(BACKENDS)("%s", (backend) => {
  let scene: Scene;
  beforeAll(async () => {
    // A packet stays fresh for as long as a daemon may take to start on a busy machine.
    scene = await Scene.set(setup({ backend, tables: { clock: { past: MAX_SKEW } } }));
    await scene.daemon.enrol(scene.client, "alice/laptop");
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const isUser = (): void => {
    const all = threads(scene.daemon.process.pid);
    expect(all.length).toBeGreaterThan(3);
    for (const status of all) {
      expect(status.get("Uid")).toBe(Array(4).fill(ids.uid).join("\t"));
      expect(status.get("Gid")).toBe(Array(4).fill(ids.gid).join("\t"));
      expect(status.get("Groups")?.trim()).toBe(String(ids.gid));
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
        const bits = BigInt(`0x${status.get(set)}`);
        expect([set, (bits & ~THREE).toString(16)]).toEqual([set, "0"]);
        expect(bits & 0x3000n, set).toBe(0x3000n);
      }
      expect(status.get("NoNewPrivs")).toBe("1");
    }
  };

  test("every thread is the user's, with three capabilities in every set and no way to more", () => {
    isUser();
    expect(scene.daemon.log().filter(({ level }) => level !== "info")).toEqual([]);
    for (const path of [scene.daemon.state, scene.server.path("run"), scene.server.path("run/tockd.sock")]) {
      expect(statSync(path).uid, path).toBe(ids.uid);
    }
    for (const name of readdirSync(scene.daemon.state)) {
      expect(statSync(`${scene.daemon.state}/${name}`).uid, name).toBe(ids.uid);
    }
    expect(statSync(scene.daemon.config)).toMatchObject({ uid: 0, gid: ids.gid });
    expect((statSync(scene.daemon.config).mode & 0o777).toString(8)).toBe("640");
  });

  test("it opens, for the sender alone, and closes", async () => {
    expect((await scene.tock(scene.client, "open", "server", "ssh")).code).toBe(0);
    await scene.opens(scene.client, 4);
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    expect((await scene.tock(scene.client, "close", "server", "ssh")).code).toBe(0);
    await scene.shuts(scene.client, 4);
  });

  test("root's commands write into its state, and it reloads what root has changed", async () => {
    const device = await scene.device("alice/second");
    await scene.daemon.configure(setup({ backend, tables: { clock: { past: MAX_SKEW - 1 } } }));
    await scene.daemon.must("reload");
    await scene.daemon.logged("reloaded");
    await scene.send(scene.client, 4, device.packet());
    await scene.opens(scene.client, 4);
    await scene.close(device, scene.client);
  });

  test("what it took before a kill it does not take again, and it is the user again", async () => {
    const device = await scene.device("alice/third");
    const packet = device.packet();
    await scene.send(scene.client, 4, packet);
    await scene.opens(scene.client, 4);
    await scene.daemon.restart("SIGKILL");
    isUser();
    await scene.close(device, scene.client);
    await scene.send(scene.client, 4, packet);
    await scene.send(scene.stranger, 4, packet);
    await scene.daemon.logged("replayed", { source: scene.stranger.address.v4 });
    expect(await scene.seenByAnyone()).toBe(false);
  });

  test("it puts the guard back, and so does root at boot", async () => {
    const flush =
      backend === "nftables" ? "nft delete table inet tock" : "iptables -t mangle -F; ip6tables -t mangle -F";
    await scene.daemon.stop();
    await scene.server.run(["sh", "-c", flush]);
    expect(await scene.sees(scene.stranger, 4)).toBe(true);
    await scene.daemon.must("guard", "restore");
    expect(await scene.seenByAnyone()).toBe(false);
    await scene.server.run(["sh", "-c", flush]);
    await scene.daemon.start();
    expect(await scene.seenByAnyone()).toBe(false);
  });

  test("with a file that cannot be used it becomes the user all the same", async () => {
    const { config } = scene.daemon;
    await scene.daemon.stop();
    await rename(config, `${config}.kept`);
    await writeFile(config, `[server]\nstate = "${scene.daemon.state}"\nrubbish = [\n`, { mode: 0o644 });
    await scene.daemon.start();
    isUser();
    expect(scene.daemon.log().filter(({ level }) => level === "error")).toMatchObject([{ file: config }]);
    expect((await scene.tock(scene.client, "open", "server", "ssh")).code).toBe(0);
    await scene.opens(scene.client, 4);
    expect((await scene.tock(scene.client, "close", "server", "ssh")).code).toBe(0);
    await scene.shuts(scene.client, 4);
    await rename(`${config}.kept`, config);
    await scene.daemon.must("reload");
  });

  test("where it may not read what root has put there, whoever looks is told what to do", async () => {
    const { config } = scene.daemon;
    const advice = `chgrp daemon ${config}; chmod 640 ${config}`;
    await chown(config, 0, 0);
    await chmod(config, 0o600);
    for (const command of ["reload", "check"] as const) {
      const told = await scene.daemon.command(command);
      expect([told.code, told.stderr]).toEqual([1, expect.stringContaining(advice)]);
    }
    await scene.server.run(["sh", "-c", advice]);
    await scene.daemon.must("check");
    await scene.daemon.must("reload");
  });

  test("it can read nothing that is root's", async () => {
    const { config } = scene.daemon;
    await rename(config, `${config}.kept`);
    await symlink("/etc/shadow", config);
    scene.daemon.process.signal("SIGHUP");
    await eventually("the log says that it may not", () =>
      scene.daemon.process.stdout.includes(`${config}: no permission to read it`),
    );
    await rm(config);
    await rename(`${config}.kept`, config);
  });
});

describe("nobody looks into it", () => {
  const setups = { "as a user": setup(), "as root": {} } as const;

  test.each(["as a user", "as root"] as const)(
    "%s: no core, no debugger, no memory for others",
    async (how) => {
      await using scene = await Scene.set(setups[how]);
      const { process } = scene.daemon;
      expect(threads(process.pid)[0]?.get("NoNewPrivs")).toBe("1");
      process.signal("SIGUSR1");
      const other = [
        "setpriv",
        "--reuid",
        String(ids.uid),
        "--regid",
        String(ids.gid),
        "--clear-groups",
      ] as const;
      const looked = await scene.server.run([...other, "cat", `/proc/${process.pid}/environ`]);
      expect(looked.stdout + String(looked.code)).toBe("1");
      const agent = await scene.server.agent();
      expect(await agent.probe("127.0.0.1", 9229, { timeout: 300 })).toBe("closed");

      // Wherever the process stands when it dies, it leaves nothing there. A program that is not closed off does.
      const cwd = scene.server.path("cwd");
      await mkdir(cwd);
      await chmod(cwd, 0o777);
      await chown(cwd, ids.uid, ids.gid);
      const leaves = async (command: string): Promise<string[]> => {
        const started = scene.server.start(["sh", "-c", `ulimit -c unlimited; ${command}`], { cwd });
        await started.waitFor(/ready/, 60_000);
        started.signal("SIGABRT");
        await started.exited;
        return readdirSync(cwd);
      };
      await scene.daemon.stop();
      expect(await leaves(`exec ${scene.daemon.runArgv.join(" ")}`)).toEqual([]);
      const isFile = !/^[|/]/.test(readFileSync("/proc/sys/kernel/core_pattern", "latin1"));
      if (isFile) expect(await leaves("echo ready; exec sleep 30")).not.toEqual([]);
    },
  );
});

test("what is in the way is said, and the daemon goes on as root", async () => {
  await using lab = await Lab.create();
  const [host] = await lab.hosts("server");
  const server = await TockServer.create(host, setup());
  const stays = async (changes: ServerSetup, why: RegExp): Promise<void> => {
    await server.configure(setup(changes));
    await server.start();
    const warnings = server.log().filter(({ level }) => level === "warn");
    expect(warnings.map(({ msg, reason }) => `${String(msg)}: ${String(reason)}`).join()).toMatch(why);
    expect(threads(server.process.pid)[0]?.get("Uid")).toBe("0\t0\t0\t0");
    await server.stop();
  };
  await stays({ user: "no-such-user" }, /^runs as root: there is no user no-such-user: [^,]*$/);
  const socket = `/root/tock-${process.pid}.sock`;
  await stays(
    { tables: { server: { socket } } },
    /^runs as root: it cannot be user daemon: \/root is not for it/,
  );
  await stays(
    { tables: { metrics: { listen: "127.0.0.1:99" } } },
    /port 99 of \[metrics\] listen is for root$/,
  );
  const { config, state } = server;
  await server.inside(["sh", "-c", `mount --bind ${config} ${config}; mount -o remount,bind,ro ${config}`]);
  await stays({}, /EROFS/);
  await server.inside(["umount", config]);
  // The user could put a link to another folder there while it is handed over.
  const loose = host.path("loose");
  await mkdir(loose);
  await chown(loose, ids.uid, ids.gid);
  await stays(
    { tables: { server: { socket: `${loose}/run/tockd.sock` } } },
    /others than root could change [^ ]*loose$/,
  );
  for (const path of [state, config]) expect(statSync(path), path).toMatchObject({ uid: 0, gid: 0 });
  await server.inside(["chown", "-R", "2:2", state]);
  await stays({}, /belongs to user 2$/);
});

test("a folder that is for all stays so, though a socket is made there", async () => {
  await using lab = await Lab.create();
  const [host] = await lab.hosts("server");
  const folder = host.path("for-all");
  await mkdir(folder);
  await chmod(folder, 0o1777);
  const server = await TockServer.create(
    host,
    setup({ tables: { server: { socket: `${folder}/tockd.sock` } } }),
  );
  await server.start();
  expect(statSync(folder)).toMatchObject({ uid: 0, gid: 0, mode: 0o41777 });
  expect(statSync(`${folder}/tockd.sock`).uid).toBe(ids.uid);
});
