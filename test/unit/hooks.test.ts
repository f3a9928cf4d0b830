import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Hooks, type HookSettings } from "../../server/hooks.ts";
import type { AuditEvent } from "../../server/core/event.ts";
import type { Log } from "../../server/log.ts";
import { address, deviceId, serviceName } from "../support/core.ts";
import { eventually } from "../lab/wait.ts";
import { scratch } from "../support/tockd.ts";

const ended = (service = "ssh"): AuditEvent => ({
  kind: "ended",
  device: deviceId("alice/phone"),
  service: serviceName(service),
  allowed: address("192.0.2.7"),
  why: "time",
});
const user = process.geteuid?.() === 0 ? "root" : "nobody";

/** A zombie that nobody has collected yet is gone too. */
function isGone(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return true;
  }
}

interface Told {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly text: string;
}

function makeHooks(more: Partial<HookSettings>): { hooks: Hooks; told: Told[] } {
  const told: Told[] = [];
  const log = Object.fromEntries(
    ["debug", "info", "warn"].map((level) => [
      level,
      (fields: Record<string, unknown>, text: string) => told.push({ level, fields, text }),
    ]),
  ) as unknown as Log;
  const none = { onGrant: undefined, onClose: undefined, onAlarm: undefined };
  const hooks = new Hooks({ ...none, user, timeout: 5, ...more }, log);
  onTestFinished(() => hooks.stop());
  return { hooks, told };
}

test("a hook gets its arguments as they are, its environment and nothing of the daemon's", async () => {
  const out = join(scratch(), "out");
  const { hooks } = makeHooks({
    onClose: ["/bin/sh", "-c", `{ echo "$1"; env; } > ${out}.new; mv ${out}.new ${out}`, "sh", "a b; $(c)"],
  });
  process.env["TOCK_TEST_SECRET"] = "x";
  hooks.handle(ended());
  await eventually("it ran", () => {
    try {
      return readFileSync(out, "utf8") !== "";
    } catch {
      return false;
    }
  });
  const text = readFileSync(out, "utf8");
  expect(text).toMatch(/^a b; \$\(c\)\n/);
  for (const line of [
    "TOCK_EVENT=ended",
    "TOCK_USER=alice",
    "TOCK_DEVICE=alice/phone",
    "TOCK_SERVICE=ssh",
    "TOCK_ADDRESS=192.0.2.7",
    "TOCK_MESSAGE=time",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).not.toContain("TOCK_TEST_SECRET");
});

test("one that takes too long is killed with what it started, and the log says so; output is for debug", async () => {
  const { hooks, told } = makeHooks({
    onAlarm: ["/bin/sh", "-c", "sleep 60 & echo $!; sleep 60"],
    timeout: 0.2,
  });
  hooks.handle({ kind: "journal-error", message: "full" });
  await eventually("it is told", () => told.length > 1);
  expect(told[0]).toEqual({
    level: "warn",
    fields: { hook: "/bin/sh", event: "journal-error", signal: "SIGKILL" },
    text: "hook failed",
  });
  const output = told[1]?.fields["output"];
  expect([told[1]?.level, output]).toEqual(["debug", expect.stringMatching(/^\d+\n$/)]);
  await eventually("what it started is gone", () => isGone(Number(output)));
  expect(hooks.running).toBe(0);
});

test("eight run at once, the others wait, and too many are left out", () => {
  const folder = scratch();
  const go = join(folder, "go");
  const { hooks, told } = makeHooks({
    onClose: ["/bin/sh", "-c", `while [ ! -e ${go} ]; do sleep 0.05; done; echo x >> ${folder}/ran`],
    timeout: 60,
  });
  for (let n = 0; n < 8 + 128 + 5; n++) hooks.handle(ended());
  expect(hooks.running).toBe(8);
  expect(told).toEqual([
    { level: "warn", fields: { hook: "/bin/sh" }, text: "hook left out: too many wait already" },
  ]);
  hooks.stop();
  writeFileSync(go, "");
});

test("an alarm has its own places, and its turn before everything else", async () => {
  const folder = scratch();
  const [go, started, ran] = ["go", "started", "ran"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const { hooks, told } = makeHooks({
    // The first eight end when they may; those that start then keep their places.
    onClose: [
      "/bin/sh",
      "-c",
      `[ ! -e ${go} ] || exec sleep 60; echo x >> ${started}; while [ ! -e ${go} ]; do sleep 0.05; done`,
    ],
    onAlarm: ["/bin/sh", "-c", `echo "$TOCK_DEVICE" > ${ran}.new; mv ${ran}.new ${ran}`],
    timeout: 60,
  });
  for (let n = 0; n < 200; n++) hooks.handle(ended());
  const device = deviceId("bob/laptop");
  hooks.handle({ kind: "retired-secret-used", device, source: address("192.0.2.9") });
  await eventually("eight run", () => existsSync(started) && readFileSync(started).length === 16);
  writeFileSync(go, "");
  await eventually("the alarm's hook ran", () => existsSync(ran));
  expect(readFileSync(ran, "utf8")).toBe("bob/laptop\n");
  expect(told.filter(({ text }) => text.includes("left out"))).toHaveLength(1);
});

test("too many alarms are left out as well", () => {
  const { hooks, told } = makeHooks({ onAlarm: ["/bin/sleep", "60"], timeout: 60 });
  for (let n = 0; n < 8 + 128 + 5; n++) hooks.handle({ kind: "journal-error", message: "full" });
  expect(hooks.running).toBe(8);
  expect(told).toEqual([
    { level: "warn", fields: { hook: "/bin/sleep" }, text: "hook left out: too many wait already" },
  ]);
});

test("no file descriptor left, or arguments that cannot be: a line of the log, not the end of the daemon", () => {
  const program = `
    import { closeSync, openSync } from "node:fs";
    import { Hooks } from ${JSON.stringify(new URL("../../server/hooks.ts", import.meta.url).href)};
    const tell = (fields, text) => console.log(text, fields.error ?? "");
    const hooks = new Hooks({ onAlarm: ["/bin/true"], user: "root", timeout: 5 }, { debug: tell, warn: tell });
    hooks.handle({ kind: "journal-error", message: "a\\0b" });
    console.log("and on");
    let last;
    try { for (;;) last = openSync("/dev/null"); } catch {}
    closeSync(last);
    hooks.handle({ kind: "journal-error", message: "full" });
    console.log("and on");`;
  const shell = 'ulimit -n 64; exec "$0" --input-type=module -e "$1"';
  const said = execFileSync("/bin/sh", ["-c", shell, process.execPath, program], { encoding: "utf8" });
  expect(said).toBe("hook failed ERR_INVALID_ARG_VALUE\nand on\nand on\nhook failed EMFILE\n");
});

test("a program that is not there is told, and events without a hook do nothing", async () => {
  const { hooks, told } = makeHooks({ onClose: ["/nonexistent/program"] });
  hooks.handle({ kind: "started", version: "1" });
  hooks.handle(ended());
  await eventually("it is told", () => told.length > 0);
  expect(told).toEqual([
    {
      level: "warn",
      fields: { hook: "/nonexistent/program", event: "ended", error: "ENOENT" },
      text: "hook failed",
    },
  ]);
});
