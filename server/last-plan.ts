import { closeSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Firewall, GuardPlan } from "./core/firewall.ts";
import { putFile } from "./store/journal-io.ts";

/** What the guard kept shut, and by which backend, when it was last put on. */
export interface LastPlan {
  readonly backend: Firewall["name"];
  readonly plan: GuardPlan;
}

function fileOf(state: string): string {
  return join(state, "guard-plan");
}

/**
 * Keeps the plan in the state folder, for a start of the machine at which the configuration has a mistake: what was shut
 * stays shut. Where it cannot be written the plan of before stays. Trials and knocks in the kernel are no part of it.
 */
export function keepPlan(state: string, { backend, plan }: LastPlan): void {
  const { walk: _walk, trial: _trial, ...kept } = plan;
  const text = JSON.stringify({ backend, plan: kept });
  try {
    closeSync(
      putFile(
        fileOf(state),
        "over",
        () => true,
        () => Buffer.from(text),
      ),
    );
  } catch {
    // The guard itself is on; only the copy for a bad day is old.
  }
}

/** Undefined where there is none that can be read. The folder is the daemon's own, of mode 0700. */
export function lastPlan(state: string): LastPlan | undefined {
  try {
    const last = JSON.parse(readFileSync(fileOf(state), "utf8")) as LastPlan;
    return Array.isArray(last.plan.services) && Array.isArray(last.plan.silent) ? last : undefined;
  } catch {
    return undefined;
  }
}
