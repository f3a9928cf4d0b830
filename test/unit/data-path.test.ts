import { join } from "node:path";
import { pino } from "pino";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { parseSettings } from "../../server/config/parse.ts";
import type { Settings } from "../../server/config/settings.ts";
import { Counters, DROP_REASONS } from "../../server/core/counters.ts";
import type { AuditEvent } from "../../server/core/event.ts";
import type { StepWalks } from "../../server/core/knock-rules.ts";
import { DataPath } from "../../server/data-path.ts";
import { DryRunFirewall, DryRunKnocks } from "../../server/firewall/dry-run.ts";
import { changesBetween } from "../../server/reload.ts";
import { openJournal } from "../../server/store/journal.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result, unwrap } from "../../shared/result.ts";
import { later, makeDevice, NOW, SERVER_ID } from "../support/core.ts";
import { scratch } from "../support/tockd.ts";

/** A change of the configuration where the kernel follows knocks: it is made whole, or all is as before. */

function settingsOf(range: string, user = "knock = true"): Settings {
  return unwrap(
    parseSettings(
      `[server]
name = "lab"
addresses = ["192.0.2.1"]
engine = "kernel"
[firewall]
backend = "nftables"
[knock]
ports = "${range}"
length = 6
[services.ssh]
ports = ["tcp/22"]
[users.alice]
services = ["ssh"]
${user}
[users.bob]
services = ["ssh"]
knock = true
`,
      "lab",
    ) as Result<Settings>,
  );
}

/** Rules that the kernel refuses a number of times; what it took last can be looked at. */
class Refusing extends DryRunKnocks {
  refusals = 0;
  held_: readonly StepWalks[] = [];

  override replace(put: readonly StepWalks[], keep: readonly StepWalks[]): Result<void> {
    if (this.refusals > 0) {
      this.refusals--;
      return err(new TockError("firewall", "the kernel refuses"));
    }
    const steps = new Set(keep.map(({ step }) => step));
    this.held_ = [...this.held_.filter(({ step }) => steps.has(step)), ...put];
    return super.replace(put, keep);
  }

  get ports(): number[] {
    return this.held_.flatMap(({ walks }) => walks.flatMap((walk) => walk.ports));
  }
}

const before = settingsOf("10000-20000");
const after = settingsOf("30000-40000");
const isOld = (port: number): boolean => port >= 10_000 && port <= 20_000;
let rules: Refusing;
let path: DataPath;
let events: AuditEvent[];

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  onTestFinished(() => void vi.useRealTimers());
  // A new journal refuses the steps of its time.
  const now = later(NOW, -3_600_000);
  const options = { path: join(scratch(), "journal"), serverId: SERVER_ID, skew: before.skew, now };
  const journal = unwrap(openJournal({ ...options, lock: () => true }));
  rules = new Refusing(() => undefined);
  events = [];
  path = new DataPath(before, {
    serverId: SERVER_ID,
    journal,
    firewall: new DryRunFirewall({ log: () => undefined, now: () => 0 }),
    rules,
    open: () => ok("confirmed"),
    grants: { add: () => undefined, close: () => ok(undefined) },
    counters: new Counters(DROP_REASONS),
    secrets: { promote: () => undefined, rotate: () => "refused" },
    checkCode: () => "missing",
    used: () => undefined,
    emit: (event) => events.push(event),
    log: pino({ level: "silent" }),
  });
  path.devices.put(makeDevice("alice/phone", { isStatic: true }), true);
  unwrap(path.start());
  onTestFinished(() => {
    path.stop();
    journal.close();
  });
});

async function change(settings: Settings): Promise<Result<void>> {
  const made = path.prepare(settings, changesBetween(before, settings));
  await vi.advanceTimersByTimeAsync(10);
  return path.change(settings, await made, undefined);
}

describe("new rules", () => {
  test("that the kernel takes are followed", async () => {
    expect(rules.ports.length).toBeGreaterThan(0);
    expect(rules.ports.every(isOld)).toBe(true);
    expect(await change(after)).toEqual(ok(undefined));
    expect(rules.ports.length).toBeGreaterThan(0);
    expect(rules.ports.some(isOld)).toBe(false);
  });

  test("that the kernel refuses leave the table and the rules that were there", async () => {
    const table = path.devices;
    rules.refusals = 1;
    expect(await change(after)).toMatchObject({ ok: false, error: { message: "the kernel refuses" } });
    expect(path.devices).toBe(table);
    expect(rules.ports.length).toBeGreaterThan(0);
    expect(rules.ports.every(isOld)).toBe(true);
    // They are still followed when the clock has gone on.
    const [first] = rules.held_;
    await vi.advanceTimersByTimeAsync(120_000);
    expect(rules.held_.length).toBeGreaterThan(0);
    expect(rules.held_).not.toContain(first);
    expect(rules.ports.every(isOld)).toBe(true);
  });

  test("are told as an error, and the old ones tried again, where the kernel refuses those too", async () => {
    rules.refusals = 3;
    expect((await change(after)).ok).toBe(false);
    expect(events).toContainEqual({ kind: "firewall-error", message: "the kernel refuses" });
    rules.held_ = [];
    await vi.advanceTimersByTimeAsync(5_000);
    expect(rules.ports.length).toBeGreaterThan(0);
    expect(rules.ports.every(isOld)).toBe(true);
  });

  test("that are refused take nobody's knocks away in the table that stays", async () => {
    rules.refusals = 1;
    const put = vi.spyOn(path.devices, "put");
    expect((await change(settingsOf("10000-20000", "knock = false"))).ok).toBe(false);
    expect(put.mock.calls.map(([{ id }, knocks]) => [id, knocks])).toEqual([
      ["alice/phone", false],
      ["alice/phone", true],
    ]);
  });
});
