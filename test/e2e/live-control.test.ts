import { chmod, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callDaemon } from "../../server/admin/client.ts";
import type { Status } from "../../server/admin/methods.ts";
import type { ServiceName } from "../../shared/brand.ts";
import { unwrap } from "../../shared/result.ts";
import type { Device } from "../lab/device.ts";
import { tockd as program } from "../lab/programs.ts";
import { Scene } from "../lab/scene.ts";
import type { ServerSetup } from "../lab/tock-server.ts";
import { eventually, never, sleep } from "../lab/wait.ts";

/** What an administrator asks of the running daemon. */

const PAGE = 8080;
const ROUNDS = Number(process.env["TOCK_RELOADS"] ?? 20);
let scene: Scene;
let phone: Device;
let laptop: Device;

const services = {
  ssh: { ports: ["tcp/22"], ttl: "60s", max_ttl: "18h" },
  web: { ports: [`tcp/${PAGE}`], ttl: "60s" },
};
const users = { alice: {}, bob: { services: ["web"] } };
const setup: ServerSetup = { services, users, tables: { metrics: { listen: "127.0.0.1:9300" } } };

const tockd = async (...args: string[]) => scene.daemon.command(...args);
const jsonOf = async <T>(...args: string[]): Promise<T> => JSON.parse(await scene.daemon.must(...args)) as T;
type Line = Record<string, unknown>;
const grants = (): Promise<Line[]> => jsonOf<Line[]>("grants", "--json");
const configure = (more: ServerSetup): Promise<void> =>
  scene.daemon.configure({ ...setup, ...more, tables: { ...setup.tables, ...more.tables } });
const open = async (device: Device, fields = {}): Promise<void> => {
  await scene.send(scene.client, 4, device.packet(fields));
};

/** A hook that appends its environment to a file, one line a run. */
async function hook(): Promise<{ argv: string[]; lines: () => Promise<string[]> }> {
  const out = scene.server.path("hook.out");
  const script = scene.server.path("hook.sh");
  const words = [
    "$1",
    "$(id -un)",
    "$TOCK_EVENT",
    "$TOCK_USER",
    "$TOCK_DEVICE",
    "$TOCK_SERVICE",
    "$TOCK_ADDRESS",
    "$TOCK_LIFETIME",
  ];
  await writeFile(out, "", { mode: 0o666 });
  await chmod(out, 0o666);
  await writeFile(script, `#!/bin/sh\necho "${words.join("|")}" >> ${out}\n`, { mode: 0o755 });
  const lines = async (): Promise<string[]> => (await readFile(out, "utf8")).split("\n").filter(Boolean);
  return { argv: [script, "$(reboot)"], lines };
}

beforeAll(async () => {
  scene = await Scene.set(setup, [22, PAGE]);
  phone = await scene.device("alice/phone");
  laptop = await scene.device("bob/laptop");
});
afterAll(() => scene[Symbol.asyncDispose]());

describe("grants", () => {
  test("status and grants say who has what open, from where, for how long yet", async () => {
    await open(phone);
    await open(laptop, { service: "web" });
    await scene.opens(scene.client, 4);
    const list = await grants();
    const address = scene.client.address.v4;
    expect(list).toMatchObject([
      { device: "alice/phone", user: "alice", service: "ssh", address, sourcePort: null },
      { device: "bob/laptop", user: "bob", service: "web", address, sourcePort: null },
    ]);
    for (const { secondsLeft } of list) expect(secondsLeft).toBeGreaterThan(40);
    const status = await tockd("status", "--json");
    expect(status.code).toBe(0);
    expect(JSON.parse(status.stdout)).toMatchObject({
      guard: "on",
      grants: 2,
      opened: 2,
      devices: 2,
      troubles: [],
    });
    expect(await scene.daemon.must("grants")).toMatch(
      /GRANT +DEVICE +SERVICE +ADDRESS +LEFT\n\w{8} +alice\/phone +ssh /,
    );
  });

  test("revoke ends them by user, device, id or address, at once, and nobody else's", async () => {
    expect(await scene.daemon.must("revoke", "bob")).toBe(
      `ended: web to ${scene.client.address.v4} (bob/laptop)\n`,
    );
    await scene.shuts(scene.client, 4, PAGE);
    expect(await scene.sees(scene.client, 4)).toBe(true);
    const [{ id = "" } = {}] = await grants();
    await scene.daemon.must("revoke", String(id));
    await scene.shuts(scene.client, 4);
    const again = await tockd("revoke", "alice/phone");
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringMatching(/^tock: error: revoke: nothing is open for "alice\/phone"\ntock: hint: /),
    ]);
  });

  test("revoke --kill cuts established connections too, without it they go on", async () => {
    await open(phone, { service: "web" });
    await scene.opens(scene.client, 4, PAGE);
    await scene.server
      .must(["sh", "-c", "command -v socat >/dev/null || command -v nc >/dev/null"])
      .catch(() => "");
    // An echo server that answers every line, and a client that sends one now and then.
    const echo = scene.server.start([
      process.execPath,
      "-e",
      "require('net').createServer((s) => s.on('error', () => {}).pipe(s)).listen(8081, '0.0.0.0', () => console.log('listening'))",
    ]);
    await echo.waitFor(/listening/);
    await configure({ services: { ...services, web: { ports: ["tcp/8080", "tcp/8081"], ttl: "60s" } } });
    await scene.daemon.must("reload");
    const talk = `let n = 0; const s = require('net').connect(8081, '${scene.server.address.v4}');
      s.on('data', (d) => console.log('got ' + d)).on('error', () => console.log('cut')).on('close', () => { console.log('cut'); process.exit(); });
      setInterval(() => s.write('line' + ++n), 100)`;
    const talker = scene.client.start([process.execPath, "-e", talk]);
    await talker.waitFor(/got line2/);
    await scene.daemon.must("revoke", "alice/phone");
    await scene.shuts(scene.client, 4, 8081);
    const before = /got line(\d+)[^\n]*\n$/.exec(talker.stdout)?.[1] ?? "0";
    await talker.waitFor(new RegExp(`got line${Number(before) + 5}`));
    expect(await scene.daemon.must("revoke", scene.client.address.v4, "--kill")).toMatch(
      /^cut: 1 connection$/m,
    );
    await talker.waitFor(/cut/);
    expect(await scene.sees(scene.client, 4, 8081)).toBe(false);
  });

  test("grant opens by hand, for a user that there is, and is written down as such", async () => {
    const { v4 } = scene.stranger.address;
    expect(await scene.daemon.must("grant", "bob", "web", v4, "--for", "5s")).toBe(
      `open: web to ${v4} for 5s\n`,
    );
    expect(await scene.sees(scene.stranger, 4, PAGE)).toBe(true);
    expect(await scene.sees(scene.stranger, 4, 22)).toBe(false);
    await scene.daemon.logged("granted", { via: "command", user: "bob", service: "web" });
    for (const [args, error] of [
      [["carol", "web", v4], 'there is no user "carol"'],
      [["bob", "wob", v4], 'there is no service "wob"'],
      [["bob", "web", "here"], "expected an IPv4 or IPv6"],
      [["bob", "web", v4, "--for", "2d"], "--for: expected a time from 1s to 18h"],
    ] as const) {
      const { code, stderr } = await tockd("grant", ...args);
      expect([code > 0, stderr.split("\n")[0]]).toEqual([true, expect.stringContaining(error.slice(0, 18))]);
    }
    await scene.shuts(scene.stranger, 4, PAGE);
    await scene.daemon.logged("ended", { why: "time", user: "bob" });
  });

  test("who may not use the socket is told so", async () => {
    const socket = scene.server.path("tockd.sock");
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] as const;
    const { code, stderr } = await scene.server.run([...nobody, ...program("grants", "--socket", socket)]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/error: socket .* is not for this user\ntock: hint: /),
    ]);
  });
});

test("top shows all of it on one screen, as it changes, and leaves the terminal as it was", async () => {
  await open(phone);
  const command = program("top", "--config", scene.daemon.config).join(" ");
  const inside = `stty cols 120 rows 40; stty -g > before; ${command}; stty -g > after`;
  const argv = ["script", "--quiet", "--return", "-c", inside, "/dev/null"] as const;
  const top = scene.server.start(argv, { cwd: scene.server.folder });
  await top.waitFor(/\u001b\[\?1049h[^]*guard[^]*alice\/phone +ssh/);
  const { v4 } = scene.stranger.address;
  await scene.daemon.must("grant", "bob", "web", v4, "--for", "60s");
  await top.waitFor(new RegExp(`web +${v4.replaceAll(".", "\\.")}`));
  top.write("q");
  expect((await top.exited).code).toBe(0);
  expect(top.stdout).toMatch(/\u001b\[\?25h\u001b\[\?1049l\s*$/);
  const settings = async (name: string): Promise<string> => readFile(scene.server.path(name), "utf8");
  expect(await settings("after")).toBe(await settings("before"));
  await scene.daemon.must("revoke", v4);
  const piped = await tockd("top");
  expect([piped.code, piped.stderr]).toEqual([2, expect.stringMatching(/top: expected a terminal/)]);
});

describe("events", () => {
  test("are told as they come, and kept over SIGKILL with their chain whole", async () => {
    const words = ["events", "-f", "--json", "--user", "alice", "--config", scene.daemon.config];
    const follower = scene.server.start(program(...words));
    await follower.waitFor(/"kind":"granted"/);
    const before = follower.stdout.split("\n").length;
    await open(phone);
    await eventually("the grant is told", () => follower.stdout.split("\n").length > before);
    const kept = await jsonOf<Line>("events", "--verify", "--json");
    expect(kept["problems"]).toEqual([]);
    follower.signal("SIGTERM");
    expect((await follower.exited).code).toBe(0);
    await scene.daemon.restart("SIGKILL");
    const lines = (await scene.daemon.must("events", "--json"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);
    const granted = lines.filter(({ kind, device }) => kind === "granted" && device === "alice/phone");
    expect(granted.at(-1)).toMatchObject({
      user: "alice",
      service: "ssh",
      via: "spa",
      allowed: scene.client.address.v4,
    });
    expect((await tockd("events", "--verify")).code).toBe(0);
    const file = `${scene.daemon.state}/audit.jsonl`;
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace('"user":"bob"', '"user":"bot"'));
    const changed = await tockd("events", "--verify");
    expect([changed.code, changed.stderr]).toEqual([1, expect.stringMatching(/one was changed/)]);
    await writeFile(file, text);
  });
});

describe("metrics", () => {
  test("are on the socket and, where asked for, on a loopback port and nowhere else", async () => {
    const text = await scene.daemon.must("metrics");
    for (const line of [
      /^tock_grants_open 1$/m,
      /^tock_drops_total\{reason="tag"\} \d+$/m,
      /^tock_grant_seconds_bucket\{le="0.001"\} \d+$/m,
      /^tock_capture_packets_total\{outcome="lost"\} 0$/m,
      /^tock_journal_errors_total 0$/m,
      /^tock_guard_on 1$/m,
      /^tock_tags_loaded [1-9]\d*$/m,
      /^tock_clock_synchronised [01]$/m,
    ]) {
      expect(text).toMatch(line);
    }
    const get = (url: string): Promise<string> =>
      scene.server.must([
        process.execPath,
        "-e",
        `fetch('${url}').then((r) => r.text()).then(console.log, () => console.log('nothing'))`,
      ]);
    expect(await get("http://127.0.0.1:9300/metrics")).toContain("tock_grants_open 1");
    expect((await get(`http://${scene.server.address.v4}:9300/metrics`)).trim()).toBe("nothing");
  });
});

describe("reload", () => {
  test("a wrong configuration changes nothing and every mistake is told", async () => {
    await writeFile(
      scene.daemon.config,
      `${await readFile(scene.daemon.config, "utf8")}\n[nonsense]\n[hooks]\ntimeout = 3\n`,
    );
    const { code, stderr } = await tockd("reload", "--socket", scene.server.path("tockd.sock"));
    expect(code).toBe(2);
    expect(stderr).toMatch(/unknown table[^]*expected a duration/);
    await scene.daemon.logged("reload-failed");
    expect(await scene.sees(scene.client, 4)).toBe(true);
  });

  test("what only a restart can change is told, and nothing is changed", async () => {
    await configure({ backend: "nftables", users: {} });
    const { code, stderr } = await tockd("reload");
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/\[firewall\] backend cannot change .*\ntock: hint: restart/),
    ]);
    expect(await scene.sees(scene.client, 4)).toBe(true);
  });

  test("SIGHUP takes other ports, other windows and other users; who is gone loses what was open", async () => {
    await open(laptop, { service: "web" });
    await scene.opens(scene.client, 4, PAGE);
    const port = 40_001;
    await configure({
      users: { alice: { knock: true }, bob: { enabled: false, services: ["web"] } },
      tables: { server: { port }, clock: { future: 3 }, knock: { ports: "20000-29999", length: 6 } },
    });
    scene.daemon.process.signal("SIGHUP");
    await scene.daemon.logged("reloaded");
    await scene.shuts(scene.client, 4, PAGE);
    expect(await scene.sees(scene.client, 4)).toBe(true);
    await scene.daemon.logged("ended", { why: "reload", device: "bob/laptop" });
    const agent = await scene.stranger.agent();
    // Of a step to come: those that are gone are spent since they left the window.
    const early = phone.packet({}, Date.now() + 85_000);
    await agent.udp({ address: scene.server.address.v4, port }, early);
    await scene.opens(scene.stranger, 4);
    const unseen = phone.packet({ service: "web" as ServiceName });
    await scene.send(scene.client, 4, unseen);
    await never("the old port opens", () => scene.sees(scene.client, 4, PAGE), { during: 500 });
    await configure({});
    await scene.daemon.must("reload");
  });

  test(
    "many reloads in a row lose no grant and no packet that was due",
    async () => {
      const lifetime = 18 * 3600;
      await open(phone, { lifetime });
      await scene.opens(scene.client, 4);
      // Asked for by its socket: a command each would be most of the work.
      const status = async (): Promise<Status> =>
        unwrap(await callDaemon(scene.server.path("tockd.sock"), "status", undefined));
      const openedBefore = (await status()).opened;
      let sent = 0;
      const traffic = new AbortController();
      const sending = (async () => {
        while (!traffic.signal.aborted) {
          await scene.send(scene.client, 6, phone.packet({ lifetime }));
          sent++;
          await sleep(20);
        }
      })();
      try {
        for (let round = 0; round < ROUNDS; round++) {
          // The SPA port stays; what is captured, the tables and the guard's rules change each time.
          const odd = round % 2 === 1;
          await configure({
            users: { alice: { knock: odd }, bob: { services: ["web"] } },
            tables: { clock: { past: odd ? 2 : 1 }, knock: { length: 6 } },
            services: odd ? services : { ...services, other: { ports: ["tcp/9999"] } },
          });
          const { reloads } = await status();
          scene.daemon.process.signal("SIGHUP");
          await eventually("it is done", async () => (await status()).reloads > reloads, {
            within: 60_000,
            every: 10,
          });
        }
      } finally {
        traffic.abort();
        await sending;
      }
      expect((await status()).opened - openedBefore).toBe(sent);
      expect(sent).toBeGreaterThan(ROUNDS / 4);
      const held = await grants();
      expect(held.map(({ address }) => address)).toEqual(
        expect.arrayContaining([scene.client.address.v4, scene.client.address.v6]),
      );
      expect(await scene.sees(scene.client, 4)).toBe(true);
    },
    120_000 + ROUNDS * 3_000,
  );
});

describe("hooks", () => {
  test("run without a shell and unprivileged, for grants and their ends", async () => {
    const { argv, lines } = await hook();
    await configure({ tables: { hooks: { on_grant: argv, on_close: argv } } });
    await scene.daemon.must("reload");
    await scene.daemon.must("revoke", "alice");
    await open(phone);
    const address = scene.client.address.v4;
    await eventually("both ran", async () => (await lines()).length >= 2);
    await scene.daemon.must("revoke", "alice");
    await eventually("the end is told", async () =>
      (await lines()).some((line) => line.includes(`ended|alice|alice/phone|ssh|${address}|`)),
    );
    expect(await lines()).toContain(`$(reboot)|nobody|granted|alice|alice/phone|ssh|${address}|60`);
  });
});
