import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAddress } from "../../shared/address.ts";
import { parsePort } from "../../shared/brand.ts";
import { unwrap } from "../../shared/result.ts";
import { Device } from "../lab/device.ts";
import type { Output } from "../lab/exec.ts";
import type { Host } from "../lab/host.ts";
import { tock } from "../lab/programs.ts";
import { decodeQr } from "../lab/qr.ts";
import { FAMILIES, Scene } from "../lab/scene.ts";
import { BACKENDS } from "../lab/tock-server.ts";
import { eventually, never } from "../lab/wait.ts";

/** The life of a device: enrolled by a link that works once, rotated, copied, disabled, removed. */

describe("enrolment and rotation", () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.set({ users: { alice: {} } });
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const enrol = (host: Host, link: string, name: string, ...flags: string[]): Promise<Output> =>
    host.run(tock("enroll", "-", "--name", name, ...flags), { input: `${link}\n` });

  /** Runs a command of tock that has to succeed. */
  const run = async (host: Host, ...args: string[]): Promise<Output> => {
    const output = await scene.tock(host, ...args);
    expect(output, output.stderr).toMatchObject({ code: 0 });
    return output;
  };

  test("by a QR code that a real reader decodes; the link works once, and its second use is an event", async () => {
    const printed = await scene.daemon.must("device", "add", "alice/phone");
    const link = /tock:\/\/enroll\/1#\S+/.exec(printed)?.[0] ?? "";
    const read = await decodeQr(printed, scene.client.path("qr.pbm"));
    expect(read).toBe(link);

    expect((await enrol(scene.client, read, "phone")).code).toBe(0);
    await run(scene.client, "open", "phone", "--for", "2");
    expect(await scene.sees(scene.client, 4)).toBe(true);
    await run(scene.client, "rotate", "phone");
    await run(scene.client, "open", "phone", "--for", "2");

    const again = await enrol(scene.stranger, link, "stolen");
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/refused this link.*\n.*each link works once.*somebody else may have/);
    expect((await scene.tock(scene.stranger, "list")).stdout).not.toContain("stolen");
    await scene.daemon.logged("enrolment-reused", {
      device: "alice/phone",
      source: scene.stranger.address.v4,
    });
    await run(scene.client, "open", "phone", "--for", "2");
  });

  test("a thief who is faster with the link takes it, and the owner's enrolment raises the event", async () => {
    const link = await scene.daemon.addDevice("alice/fast");
    await scene.lab.wire.lose("udp sport 62201");
    expect((await enrol(scene.client, link, "fast", "--timeout", "0.6")).code).toBe(3);
    await scene.lab.wire.lose(undefined);
    const second = await enrol(scene.stranger, link, "fast");
    expect(second, second.stderr).toMatchObject({ code: 1 });
    await scene.daemon.logged("enrolment-reused", {
      device: "alice/fast",
      source: scene.stranger.address.v4,
    });
    await run(scene.client, "open", "fast", "--for", "2");
  });

  test("a copy of the profile from before a rotation opens nothing after it and raises the alarm", async () => {
    await scene.daemon.enrol(scene.client, "alice/copied");
    const folder = ".config/tock/profiles";
    await mkdir(scene.stranger.path(folder), { recursive: true, mode: 0o700 });
    await cp(scene.client.path(folder, "server.json"), scene.stranger.path(folder, "server.json"));
    await run(scene.client, "rotate", "server");
    const copy = await scene.tock(scene.stranger, "open", "server");
    expect(copy.code).toBe(1);
    expect(copy.stderr).toContain("has expired");
    expect(await scene.sees(scene.stranger, 4)).toBe(false);
    const source = scene.stranger.address.v4;
    await scene.daemon.logged("retired-secret-used", { device: "alice/copied", source });
    await run(scene.client, "open", "server", "--for", "2");
  });

  test("when and from where a device was used last is kept, also over a restart", async () => {
    await scene.daemon.restart();
    const list = JSON.parse(await scene.daemon.must("device", "list", "--json")) as Record<string, unknown>[];
    const phone = list.find(({ device }) => device === "alice/phone");
    expect([scene.client.address.v4, scene.client.address.v6]).toContain(phone?.["lastUsedFrom"]);
    expect(Date.now() - Date.parse(String(phone?.["lastUsed"]))).toBeLessThan(120_000);
  });

  test("a secret that is old by the owner's measure rotates after the next use, and beyond the other opens nothing", async () => {
    const rotation = { rotate_after: "1s", expire_after: "4s" };
    await scene.daemon.configure({ users: { alice: {} }, tables: { rotation } });
    const link = await scene.daemon.addDevice("alice/old", "--static");
    expect((await enrol(scene.stranger, link, "old")).code).toBe(0);
    await scene.daemon.restart();
    await eventually("alice/old is too old", async () => {
      const { code, stderr } = await scene.tock(scene.stranger, "open", "old");
      return code === 1 && stderr.includes("has expired");
    });
    await scene.daemon.logged("refused", { device: "alice/old", rule: "secret-expired" });
    await scene.daemon.configure({ users: { alice: {} }, tables: { rotation: { rotate_after: "1s" } } });
    await scene.daemon.restart();
    const before = await scene.daemon.must("device", "show", "alice/phone", "--json");
    await run(scene.client, "open", "phone", "--for", "2");
    await scene.daemon.logged("rotated", { device: "alice/phone" });
    const since = (text: string) => Date.parse((JSON.parse(text) as { secretSince: string }).secretSince);
    expect(since(await scene.daemon.must("device", "show", "alice/phone", "--json"))).toBeGreaterThan(
      since(before),
    );
  });
});

describe.each(BACKENDS)("what a device has open, with %s", (backend) => {
  let scene: Scene;
  const now = new Date();
  /** An hour of today that is not now. */
  const otherHour = `daily ${String((now.getUTCHours() + 3) % 24).padStart(2, "0")}:00-${String((now.getUTCHours() + 4) % 24).padStart(2, "0")}:00`;

  beforeAll(async () => {
    scene = await Scene.set({
      backend,
      services: { ssh: { ports: ["tcp/22"], max_ttl: "10m" }, web: { ports: ["tcp/8080"] } },
      users: {
        alice: { address: "claimed" },
        bob: { address: "claimed" },
        leaver: {},
        night: { hours: [otherHour] },
        day: { hours: ["daily 00:00-24:00"], timezone: "Asia/Tokyo" },
        bound: { bind: "source-port" },
        elsewhere: { networks: ["203.0.113.0/24"] },
        denied: { deny: ["192.0.2.0/24"] },
        roam: { widen: { ipv4: 31, ipv6: 127 } },
        counted: { widen: { ipv4: 31 }, connections: 1 },
        gone: { expires: "2020-01-01" },
        off: { enabled: false },
      },
    });
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const open = async (device: Device, host = scene.client, fields = {}): Promise<void> => {
    await scene.send(host, 4, device.packet({ lifetime: 300, ...fields }));
  };
  const shut = (host = scene.client): Promise<number> => scene.shuts(host, 4);

  test("ends at once when the device is disabled, and opens again when it is enabled", async () => {
    const device = await scene.device("alice/laptop");
    await open(device);
    await scene.opens(scene.client, 4);
    await scene.daemon.must("device", "disable", "alice/laptop");
    expect(await scene.sees(scene.client, 4)).toBe(false);
    await open(device);
    await scene.daemon.logged("refused", { device: "alice/laptop", rule: "device-disabled" });
    await scene.daemon.must("device", "enable", "alice/laptop");
    await open(device);
    await scene.opens(scene.client, 4);
    await scene.daemon.must("device", "remove", "alice/laptop");
    expect(await scene.sees(scene.client, 4)).toBe(false);
    await open(device);
    await never("it opens", () => scene.sees(scene.client, 4), { during: 300 });
  });

  test.each(["SIGTERM", "SIGKILL"] as const)("ends also after a restart by %s", async (signal) => {
    const id = `alice/${signal.toLowerCase()}`;
    await open(await scene.device(id));
    await scene.opens(scene.client, 4);
    // Owners are on disk within a second.
    const written = async (): Promise<boolean> =>
      (await scene.daemon.must("device", "show", id, "--json")).includes(scene.client.address.v4);
    await eventually("the ledger is written", written);
    await scene.daemon.restart(signal);
    expect(await scene.sees(scene.client, 4)).toBe(true);
    await scene.daemon.must("device", "disable", id);
    expect(await scene.sees(scene.client, 4)).toBe(false);
  });

  test.each(["its device is removed", "its device is disabled", "its user is disabled"])(
    "ends when the daemon comes back, where meanwhile %s",
    async (what) => {
      const name = `leaver/${what.replaceAll(" ", "-")}`;
      await open(await scene.device(name));
      await scene.opens(scene.client, 4);
      await scene.daemon.stop();
      const config = await readFile(scene.daemon.config, "utf8");
      if (what.includes("user")) {
        await writeFile(scene.daemon.config, config.replace("[users.leaver]", "$&\nenabled = false"));
      } else await scene.daemon.must("device", what.endsWith("removed") ? "remove" : "disable", name);
      await scene.daemon.start();
      expect(await scene.sees(scene.client, 4)).toBe(false);
      await scene.daemon.stop();
      await writeFile(scene.daemon.config, config);
      await scene.daemon.start();
    },
  );

  test("stays when somebody else closes it, or loses a device that had the same open", async () => {
    const [alice, bob] = [await scene.device("alice/here"), await scene.device("bob/there")];
    await open(alice);
    await scene.opens(scene.client, 4);
    const here = unwrap(parseAddress(scene.client.address.v4));
    await scene.send(scene.stranger, 4, bob.packet({ type: "close", allow: here }));
    await scene.daemon.logged("closed", { device: "bob/there", allowed: scene.client.address.v4 });
    expect(await scene.sees(scene.client, 4)).toBe(true);
    await open(bob, scene.stranger, { allow: here });
    await scene.daemon.must("device", "remove", "bob/there");
    expect(await scene.sees(scene.client, 4)).toBe(true);
    await open(alice, scene.client, { type: "close", lifetime: 0 });
    await shut();
    await scene.daemon.must("device", "disable", "alice/here");
    await shut(scene.stranger);
  });

  test("a widened grant lets in the network around the address, and not one address more", async () => {
    const device = await scene.device("roam/phone");
    const others = { 4: "192.0.2.77", 6: "2001:db8::77" } as const;
    const agent = await scene.client.agent();
    for (const family of FAMILIES) {
      // The client is number 2 of its prefix and the stranger number 3: one /31, one /127.
      await scene.client.addAddress(others[family]);
      const probe = (address: string) =>
        agent.probe(scene.server.at(family), 22, { from: { address, port: 0 } });
      expect(await scene.sees(scene.stranger, family)).toBe(false);
      const here = { from: { address: scene.client.at(family), port: 0 } };
      await scene.send(scene.client, family, device.packet({ lifetime: 60 }), here);
      await scene.opens(scene.stranger, family);
      expect(await probe(scene.client.at(family))).toBe("open");
      expect(await probe(others[family])).toBe("filtered");
      // The phone's address has changed since.
      await scene.send(scene.stranger, family, device.packet({ type: "close" }));
      await scene.shuts(scene.client, family);
      // A named port is for one machine.
      const fromPort = unwrap(parsePort(40_000));
      await scene.send(scene.client, family, device.packet({ lifetime: 60, fromPort }), here);
      const from = { from: { address: scene.client.at(family), port: 40_000 } };
      await eventually(
        "the port gets in",
        async () => (await agent.probe(scene.server.at(family), 22, from)) === "open",
      );
      expect(await scene.sees(scene.stranger, family)).toBe(false);
      await scene.send(scene.client, family, device.packet({ type: "close" }), here);
    }
  });

  test("a widened grant counts connections of its whole network, and ends after a restart as any other", async () => {
    const device = await scene.device("counted/phone");
    await open(device);
    await scene.opens(scene.stranger, 4);
    expect(await scene.sees(scene.client, 4)).toBe(false);
    await open(await scene.device("roam/tablet"));
    await scene.opens(scene.stranger, 4);
    await scene.daemon.restart();
    expect(await scene.sees(scene.client, 4)).toBe(true);
    await scene.daemon.must("device", "disable", "roam/tablet");
    expect(await scene.sees(scene.client, 4)).toBe(false);
  });

  test("every refusal names its rule, and nothing opens", async () => {
    const expired = await scene.daemon.addDevice("alice/expired", "--static", "--expires", "1s");
    const cases: [Device, string, object?][] = [
      [await scene.device("night/a"), "outside-hours"],
      [await scene.device("bound/a"), "any-port"],
      [await scene.device("elsewhere/a"), "other-network"],
      [await scene.device("denied/a"), "denied-network"],
      [await scene.device("gone/a"), "user-expired"],
      [await scene.device("off/a"), "user-disabled"],
      [
        new Device(await scene.daemon.addDevice("alice/web", "--static", "--services", "web")),
        "device-service",
      ],
      [new Device(expired), "device-expired"],
    ];
    for (const [device, rule] of cases) {
      await eventually(rule, async () => {
        await open(device);
        return scene.daemon
          .log()
          .some(
            (line) =>
              line["msg"] === "refused" &&
              line["device"] === device.enrolment.device &&
              line["rule"] === rule,
          );
      });
    }
    expect(await scene.sees(scene.client, 4)).toBe(false);
    await open(await scene.device("bound/b"), scene.client, { fromPort: 40_000 });
    const agent = await scene.client.agent();
    const from = (port: number) => ({ from: { address: scene.client.address.v4, port } });
    await eventually("the named port gets in", async () => {
      return (await agent.probe(scene.server.address.v4, 22, from(40_000))) === "open";
    });
    expect(await agent.probe(scene.server.address.v4, 22, from(40_001))).toBe("filtered");
    await open(await scene.device("day/a"));
    await scene.opens(scene.client, 4);
  });
});
