import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { parseAddress } from "../../shared/address.ts";
import { seconds } from "../../shared/brand.ts";
import { unwrap } from "../../shared/result.ts";
import { Metrics } from "../../server/metrics.ts";
import { deviceId, serviceName } from "../support/core.ts";

/** What is watched in packaging/ must be what the daemon tells. */

const read = (name: string): string =>
  readFileSync(new URL(`../../packaging/${name}`, import.meta.url), "utf8");

const metrics = new Metrics({
  drops: () => ({ tag: 3, journal: 1 }),
  capture: () => ({ received: 9, lost: 1, refused: 2, delivered: 6 }),
  grantsOpen: () => 1,
  devices: () => 2,
  tags: () => 8,
  guard: () => "on",
  clock: () => ({ synchronised: true, offset: 0.001, maxError: 0.5 }),
  trail: () => ({ seq: 5, waiting: 0, lost: 0, trouble: undefined }),
  version: "1.2.3",
});
const source = unwrap(parseAddress("192.0.2.7"));
metrics.handle({
  kind: "granted",
  device: deviceId("alice/phone"),
  source,
  via: "spa",
  service: serviceName("ssh"),
  allowed: source,
  lifetime: seconds(30),
  capped: false,
  micros: 80,
});
metrics.handle({
  kind: "refused",
  device: deviceId("alice/phone"),
  source,
  service: undefined,
  rule: "static",
});

describe("figures", () => {
  test("are Prometheus text with their values", async () => {
    const text = await metrics.text();
    for (const line of [
      'tock_drops_total{reason="tag"} 3',
      'tock_capture_packets_total{outcome="delivered"} 6',
      "tock_journal_errors_total 1",
      'tock_grants_total{service="ssh",via="spa"} 1',
      'tock_refusals_total{rule="static"} 1',
      'tock_grant_seconds_bucket{le="0.00005"} 0',
      'tock_grant_seconds_bucket{le="0.0001"} 1',
      "tock_guard_on 1",
      "tock_clock_max_error_seconds 0.5",
      'tock_build_info{version="1.2.3"} 1',
    ]) {
      expect(text.split("\n")).toContain(line);
    }
  });

  test("tell of a start from the last good configuration, until a file is taken", async () => {
    const told = async (): Promise<string> =>
      /^tock_config_last_good .*$/m.exec(await metrics.text())?.[0] ?? "";
    expect(await told()).toBe("tock_config_last_good 0");
    metrics.handle({ kind: "started", version: "1", mistakes: ["a mistake"] });
    metrics.handle({ kind: "reload-failed", mistakes: ["a mistake"] });
    expect(await told()).toBe("tock_config_last_good 1");
    metrics.handle({ kind: "reloaded", changed: [] });
    expect(await told()).toBe("tock_config_last_good 0");
  });

  test("stay the same while nothing happens, whatever is done to the clock", async () => {
    const steady = async (): Promise<string> =>
      (await metrics.text()).replace(/^process_resident_memory_bytes .*$/m, "");
    const before = await steady();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_600_000 });
    onTestFinished(() => void vi.useRealTimers());
    expect(await steady()).toBe(before);
  });

  test("every figure in the alerts and on the dashboard is one of them", async () => {
    const names = new Set([
      "up",
      ...[...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name),
    ]);
    const dashboard = JSON.parse(read("grafana-dashboard.json")) as {
      readonly panels: { readonly id: number; readonly targets: { readonly expr: string }[] }[];
    };
    const shown = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    const alerts = [...read("alerts.yml").matchAll(/^ {8}expr: (.*)$/gm)].map(([, expr = ""]) => expr);
    expect(alerts.length).toBeGreaterThan(5);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const expr of [...shown, ...alerts]) {
      const used = expr.match(/\b(?:tock|process)_[a-z_]+|\bup\b/g) ?? [];
      expect(used).not.toEqual([]);
      for (const name of used) expect(names).toContain(name.replace(/_bucket$/, ""));
    }
  });

  test("the alerts are YAML of the form that Prometheus takes", () => {
    // Two spaces a level, a key and a value a line: what is read here line by line is YAML to everybody.
    const lines = read("alerts.yml")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    for (const line of lines)
      expect(line).toMatch(/^(?: {2})*(?:- )?[a-zA-Z]+:(?: (?:"[^"]*"|[^"#:]*(?:\{[^}]*\})?[^"#:]*))?$/);
    const alerts = read("alerts.yml")
      .split(/^ {6}- /m)
      .slice(1);
    for (const alert of alerts) {
      expect(alert).toMatch(
        /^alert: Tock[A-Za-z]+\n {8}expr: \S.*\n(?: {8}for: \d+m\n)? {8}labels:\n {10}severity: (?:critical|warning)\n {8}annotations:\n {10}summary: "/,
      );
    }
  });
});
