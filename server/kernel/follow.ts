import { ok, type Result } from "../../shared/result.ts";
import type { Settings } from "../config/settings.ts";
import type { Device } from "../core/device.ts";
import type { DeviceTable } from "../core/device-table.ts";
import type { Firewall } from "../core/firewall.ts";
import type { KnockRules } from "../core/knock-rules.ts";
import type { Log } from "../log.ts";
import { mayKnock, policyOf, systemNow } from "../plans.ts";
import { type EngineParts, KernelEngine } from "./engine.ts";
import { checkLimits } from "./limits.ts";
import { windowOf } from "./walks.ts";

export interface FollowParts extends Pick<EngineParts, "replays" | "journal" | "granted" | "emit"> {
  readonly settings: Settings;
  readonly serverId: Uint8Array;
  readonly devices: DeviceTable;
  readonly rules: KnockRules;
  readonly firewall: Pick<Firewall, "close" | "watch">;
  readonly log: Log;
}

/** What stands in the way of a device's knocks in rules, in plain words. */
const WORDS: Readonly<Record<string, string>> = {
  connections: "rules cannot count the connections of a grant: set connections = 0, or take engine = packets",
  enrolment: "its link was never used, and only an SPA packet can do that: add the device with --static",
  "expires-soon": "its time ends within the next minutes",
};

/** Puts the walks in and follows the clock from then on. */
export function followByKernel(parts: FollowParts): Result<KernelEngine> {
  const { settings, devices, rules, log } = parts;
  const count = [...devices.devices()].filter((device) => mayKnock(settings, device)).length;
  const limits = checkLimits(count, rules);
  if (!limits.ok && count > rules.mostDevices) return limits;
  if (!limits.ok) log.warn({ hint: limits.error.hint }, limits.error.message);
  const engine = engineOf(parts);
  const started = engine.start();
  return started.ok ? ok(engine) : started;
}

/** What the daemon needs to be on time. */
const LEAD = 1_000;

/** An engine that does nothing yet. */
export function engineOf(parts: FollowParts, lead = LEAD): KernelEngine {
  const { settings, serverId, devices, rules, firewall, replays, journal, granted, emit, log } = parts;
  const knocking = (): Device[] => [...devices.devices()].filter((device) => mayKnock(settings, device));
  return new KernelEngine({
    now: systemNow,
    skew: settings.skew,
    lead,
    maker: () => ({
      serverId,
      shape: settings.knock,
      policy: policyOf(settings),
      devices: knocking().slice(0, rules.mostDevices),
      boundsOf: windowOf(settings.skew),
    }),
    devices: (id) => devices.get(id),
    rules,
    firewall,
    replays,
    journal,
    granted,
    emit,
    leftOut: ({ device, rule }) =>
      log.warn(
        { device, rule, ...(WORDS[rule] !== undefined && { why: WORDS[rule] }) },
        "knocks not followed",
      ),
  });
}
