import { ok, type Result } from "../shared/result.ts";
import { VERSION } from "../shared/version.ts";
import type { Status } from "./admin/methods.ts";
import type { Device } from "./core/device.ts";
import type { Firewall } from "./core/firewall.ts";
import type { DataPath } from "./data-path.ts";
import type { GuardKeeper } from "./guard-keeper.ts";
import type { Metrics } from "./metrics.ts";
import { systemNow } from "./plans.ts";
import type { Reloader } from "./reloader.ts";
import type { AuditTrail } from "./store/audit-trail.ts";
import type { Journal } from "./store/journal.ts";
import { clockState } from "./sys/clock.ts";

export interface StatusParts {
  readonly guard: GuardKeeper;
  readonly path: DataPath;
  readonly firewall: Firewall;
  readonly journal: Journal;
  readonly trail: AuditTrail;
  readonly metrics: Metrics;
  readonly packets: Readonly<Record<string, number>>;
  /** By the monotonic clock, in ms. */
  readonly startedAt: number;
  readonly reloader: Pick<Reloader, "count" | "mistakes">;
}

/** What `tockd status` shows, as it is now. */
export function statusOf(parts: StatusParts): Result<Status> {
  const { guard, path, firewall, journal, trail, metrics, packets, startedAt, reloader } = parts;
  const state = guard.state;
  if (!state.ok) return state;
  const { seq, waiting, lost, trouble } = trail.state;
  const until = journal.refusingUntil;
  return ok({
    version: VERSION,
    pid: process.pid,
    upSeconds: Math.floor((performance.now() - startedAt) / 1000),
    backend: firewall.name,
    filter: path.filter,
    guard: state.value,
    guardTrial: guard.trialSeconds ?? null,
    allow: guard.allow,
    devices: path.devices.size,
    openable: isOpenable(path.devices.devices()),
    grants: grantsOpen(firewall),
    packets,
    opened: metrics.opened,
    refused: metrics.refused,
    seen: path.stats().received,
    lost: path.stats().lost,
    refusingUntil: until > systemNow() ? until : 0,
    clock: clockState() ?? null,
    trail: { lines: seq, waiting, lost, trouble: trouble ?? null },
    reloads: reloader.count,
    fromLastGood: reloader.mistakes.mistakes !== undefined,
  });
}

function isOpenable(devices: Iterable<Device>): boolean {
  for (const { enabled, enrolling } of devices) if (enabled && !enrolling) return true;
  return false;
}

/** As the kernel has it: what was opened before a crash counts too. */
export function grantsOpen(firewall: Firewall): number {
  const held = firewall.list();
  return held.ok ? held.value.length : 0;
}
