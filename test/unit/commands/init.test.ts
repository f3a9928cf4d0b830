import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { loadSettings } from "../../../server/config/load.ts";
import { DeviceStore } from "../../../server/store/device-store.ts";
import { unwrap } from "../../../shared/result.ts";
import { scratch, tockd } from "../../support/tockd.ts";

let folder: string;
let config: string;
let state: string;
const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8);
const init = (...flags: string[]) => tockd(["init", "--config", config, "--state", state, ...flags]);

beforeEach(() => {
  folder = scratch();
  config = join(folder, "etc", "tockd.toml");
  state = join(folder, "state");
});

describe("tockd init", () => {
  test("makes everything that a server needs, for its owner alone", async () => {
    const ran = await init("--address", "203.0.113.7");
    expect(ran).toMatchObject({ code: 0, note: "" });
    expect([config, state, join(state, "tock.db"), join(state, "journal")].map(mode)).toEqual([
      "640",
      "700",
      "600",
      "600",
    ]);
    expect(readdirSync(state).toSorted()).toEqual(["journal", "tock.db"]);
    expect(await tockd(["check", "--config", config])).toMatchObject({ code: 0 });
  });

  test("takes every answer as a flag", async () => {
    const flags = `--name my.server --address 203.0.113.7 --address 2001:db8::7 --address vpn.example.org --port 40000
      --service ssh=tcp/2222 --service web=tcp/80,tcp/443 --user alice --user bob --knock --backend nftables
      --socket /run/x.sock`;
    expect(await init(...flags.split(/\s+/))).toMatchObject({ code: 0 });
    const settings = loadSettings(config);
    if (!settings.ok) throw new Error("the file is wrong");
    const { server, services, users, firewall } = settings.value;
    expect(server).toEqual({
      engine: "packets",
      name: "my.server",
      addresses: ["203.0.113.7", "2001:db8::7", "vpn.example.org"],
      port: 40000,
      state,
      socket: "/run/x.sock",
      reply: "authenticated",
      user: "tock",
    });
    expect(services.map(({ name, ports }) => [name, ports.map(({ first }) => Number(first))])).toEqual([
      ["ssh", [2222]],
      ["web", [80, 443]],
    ]);
    expect(users.map(({ name, mayKnock, services }) => [name, mayKnock, services])).toEqual([
      ["alice", true, ["ssh", "web"]],
      ["bob", true, ["ssh", "web"]],
    ]);
    expect(firewall.backend).toBe("nftables");
  });

  test("the server is called after its host, and ssh on port 22 is what it protects", async () => {
    await init("--address", "203.0.113.7");
    const settings = loadSettings(config);
    expect(settings).toMatchObject({
      ok: true,
      value: { server: { name: "testhost" }, services: [{ name: "ssh" }] },
    });
  });

  test("each server has an id and a key of its own", async () => {
    await init("--address", "203.0.113.7");
    const first = unwrap(DeviceStore.open(state));
    state = join(folder, "other");
    config = join(folder, "other.toml");
    await init("--address", "203.0.113.7");
    const second = unwrap(DeviceStore.open(state));
    expect(first.identity.id).toHaveLength(16);
    expect(first.identity.id).not.toEqual(second.identity.id);
    expect(first.identity.key.equals(second.identity.key)).toBe(false);
    for (const store of [first, second]) store.close();
  });

  test("with a configuration that is there makes the rest for it", async () => {
    mkdirSync(join(folder, "etc"));
    const text = `[server]\nname = "s"\naddresses = ["h"]\nstate = "${state}"\n[services.ssh]\nports = ["tcp/22"]\n`;
    writeFileSync(config, text, { mode: 0o600 });
    expect(await tockd(["init", "--config", config])).toMatchObject({ code: 0 });
    expect(readFileSync(config, "utf8")).toBe(text);
    expect(readdirSync(state).toSorted()).toEqual(["journal", "tock.db"]);
  });
});

describe("tockd init changes nothing", () => {
  const contents = () => readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted();

  test("when it was run before", async () => {
    await init("--address", "203.0.113.7");
    const before = [config, join(state, "tock.db"), join(state, "journal")].map((file) => readFileSync(file));
    const again = await tockd(["init", "--config", config]);
    expect(again).toMatchObject({ code: 1, out: "" });
    expect(again.note).toContain(`tock: error: device store ${state}/tock.db exists already\n`);
    expect((await init("--address", "203.0.113.7")).note).toContain(
      `tock: error: ${config} exists already\n`,
    );
    const after = [config, join(state, "tock.db"), join(state, "journal")].map((file) => readFileSync(file));
    expect(after).toEqual(before);
  });

  test("when a flag is wrong", async () => {
    expect(await init("--address", "203.0.113.7", "--port", "0")).toMatchObject({ code: 2 });
    expect(contents()).toEqual([]);
  });

  test("when the state folder is open to others", async () => {
    mkdirSync(state);
    chmodSync(state, 0o755);
    expect(await init("--address", "203.0.113.7")).toMatchObject({
      code: 1,
      note: `tock: error: ${state}: expected mode 0700, got 0755: others could read its secrets\ntock: hint: chmod 0700 ${state}\n`,
    });
    expect(contents()).toEqual(["state"]);
  });

  test("when the last step fails: what was made before goes again", async () => {
    writeFileSync(join(folder, "etc"), "a file where a folder should be");
    const ran = await init("--address", "203.0.113.7");
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.note).toMatch(/^tock: error: .*cannot be made: (EEXIST|ENOTDIR)\n/);
    expect(existsSync(state)).toBe(false);
  });

  test("when a journal is there already", async () => {
    mkdirSync(state, { mode: 0o700 });
    writeFileSync(join(state, "journal"), "somebody's", { mode: 0o600 });
    expect(await init("--address", "203.0.113.7")).toMatchObject({ code: 1 });
    expect(contents()).toEqual(["state", "state/journal"]);
    expect(readFileSync(join(state, "journal"), "utf8")).toBe("somebody's");
  });
});
