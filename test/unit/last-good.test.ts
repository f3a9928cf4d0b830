import {
  appendFileSync,
  chmodSync,
  chownSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { settingsDespiteMistakes } from "../../server/config/despite-mistakes.ts";
import { loadSettings } from "../../server/config/load.ts";
import { keepLastGood, lastGood, settingsToStart } from "../../server/last-good.ts";
import type { Result } from "../../shared/result.ts";
import { scratch, tockd } from "../support/tockd.ts";

let config: string;
let state: string;
let kept: string;
let socket: string;

const NOBODY = 65_534;

const value = <T>(result: Result<T, unknown>): T => {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
};
const settings = () => value(loadSettings(config));
const spoil = (): void => appendFileSync(config, "\nrubbish = [\n");

beforeEach(async () => {
  const folder = scratch();
  config = join(folder, "tockd.toml");
  state = join(folder, "state");
  kept = join(state, "last-good.toml");
  socket = join(folder, "tockd.sock");
  const flags = ["--state", state, "--name", "my", "--address", "203.0.113.7", "--user", "alice"];
  await tockd(["init", ...flags, "--socket", socket, "--config", config]);
});

test("a file in order is what counts, whatever was kept", () => {
  value(keepLastGood(config, { ...settings(), users: [] }));
  expect(settingsToStart(config)).toEqual({ ok: true, value: { settings: settings(), mistakes: [] } });
});

test("a file with a mistake is stood in for by what was taken last, and the mistake is told", () => {
  const good = settings();
  value(keepLastGood(config, good));
  expect(statSync(kept).mode & 0o777).toBe(0o600);
  spoil();
  const start = value(settingsToStart(config));
  expect(start.settings).toEqual(good);
  expect(start.mistakes[0]?.message).toMatch(/tockd\.toml:/);
});

test("a file that others can write says neither where the last good one is nor where the daemon is", async () => {
  value(keepLastGood(config, settings()));
  expect(settingsDespiteMistakes(config).server.state).toBe(state);
  chmodSync(config, 0o666);
  expect(lastGood(config)).toBeUndefined();
  const start = settingsToStart(config);
  expect(start.ok ? [] : start.error).toEqual([expect.objectContaining({ code: "permission" })]);
  expect(settingsDespiteMistakes(config).server).toMatchObject({
    state: "/var/lib/tock",
    socket: "/run/tock/tockd.sock",
  });
  const { note } = await tockd(["status", "--config", config]);
  expect(note).not.toContain(socket);
});

test.runIf(process.geteuid?.() === 0)(
  "root takes nothing from a state folder in whose place somebody could put another",
  () => {
    const home = scratch();
    const elsewhere = join(home, "state");
    renameSync(state, elsewhere);
    writeFileSync(
      config,
      readFileSync(config, "utf8").replace(JSON.stringify(state), JSON.stringify(elsewhere)),
    );
    const good = settings();
    value(keepLastGood(config, good));
    spoil();
    expect(lastGood(config)).toEqual(good);
    chownSync(home, NOBODY, NOBODY);
    expect(lastGood(config)).toBeUndefined();
  },
);

test.each([
  ["nothing was kept", () => rmSync(kept)],
  ["this version does not understand it", () => appendFileSync(kept, "\nfuture = 1\n")],
  ["others can write it", () => chmodSync(kept, 0o620)],
  [
    "it is another file's",
    () => writeFileSync(kept, readFileSync(kept, "utf8").replace("tockd.toml", "other.toml")),
  ],
])("the mistake is all there is where %s", (_, change) => {
  value(keepLastGood(config, settings()));
  change();
  spoil();
  const start = settingsToStart(config);
  expect(start.ok).toBe(false);
  if (!start.ok) expect(start.error[0]?.message).toMatch(/tockd\.toml:/);
});

test.runIf(process.geteuid?.() === 0)(
  "what the daemon's user has kept makes root neither another user nor run a program of his",
  () => {
    const good = settings();
    const hooked = { ...good, hooks: { ...good.hooks, onAlarm: ["/bin/true"] as const } };
    const give = (): void => {
      for (const path of [state, kept]) chownSync(path, NOBODY, NOBODY);
    };
    value(
      keepLastGood(config, { ...hooked, server: { ...good.server, user: "nobody", socket: "/etc/x.sock" } }),
    );
    give();
    spoil();
    expect(lastGood(config)).toEqual({ ...good, server: { ...good.server, user: "nobody" } });
    value(keepLastGood(config, { ...hooked, server: { ...good.server, user: "root" } }));
    give();
    expect(lastGood(config)).toBeUndefined();
  },
);
