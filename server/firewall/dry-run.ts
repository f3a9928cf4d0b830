import type { Address } from "../../shared/address.ts";
import type { ServiceName, TimeStep } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Entry, Firewall, GuardPlan, GuardState, OpenGrant } from "../core/firewall.ts";
import type { Grant } from "../core/grant.ts";
import type { KnockRules, StepWalks, Win } from "../core/knock-rules.ts";
import type { Log } from "./command.ts";
import { keyIn } from "./grant-set.ts";

interface Picture {
  readonly plan: string;
  readonly services: ReadonlySet<ServiceName>;
}

/** Changes nothing: keeps a picture of what a real backend would hold, and logs what it would do. */
export class DryRunFirewall implements Firewall {
  readonly name = "dry-run";
  readonly #log: Log;
  readonly #now: () => number;
  #guard: Picture | undefined;
  readonly #grants = new Map<string, OpenGrant & { readonly deadline: number; readonly counted: boolean }>();

  /** `now` is a monotonic clock in ms. */
  constructor({ log, now }: { readonly log: Log; readonly now: () => number }) {
    this.#log = log;
    this.#now = now;
  }

  guardOn(plan: GuardPlan): Result<void> {
    const services = new Set(plan.services.map(({ name }) => name));
    this.#guard = { plan: JSON.stringify(plan), services };
    for (const [key, grant] of this.#grants) if (!services.has(grant.service)) this.#grants.delete(key);
    this.#log(`[dry-run] guard on: ${[...services].join(", ") || "no service"}`);
    return ok(undefined);
  }

  guardOff(): Result<void> {
    this.#guard = undefined;
    this.#grants.clear();
    this.#log("[dry-run] guard off");
    return ok(undefined);
  }

  guardState(plan: GuardPlan): Result<GuardState> {
    if (this.#guard === undefined) return ok("off");
    return ok(this.#guard.plan === JSON.stringify(plan) ? "on" : "damaged");
  }

  rehearse(grant: Grant): void {
    this.open(grant);
  }

  open(grant: Grant): Result<void> {
    const { service, prefix, sourcePort, lifetime, connections } = grant;
    const source = keyIn({ prefix }, grant.source);
    if (this.#guard?.services.has(service.name) !== true) {
      return err(
        new TockError("firewall", `grant: the guard knows no service ${service.name}`, "is the guard on?"),
      );
    }
    const counted = connections > 0;
    const key = `${service.name} ${source.text} ${prefix ?? ""} ${sourcePort ?? ""} ${counted}`;
    const deadline = Math.max(this.#grants.get(key)?.deadline ?? 0, this.#now() + lifetime * 1000);
    const held = { service: service.name, source, prefix, sourcePort, remaining: 0, deadline, counted };
    this.#grants.set(key, held);
    const limits = `${sourcePort === undefined ? "" : ` port ${sourcePort}`}${connections > 0 ? `, ${connections} connections` : ""}`;
    this.#log(
      `[dry-run] open ${service.name} to ${source.text}${prefix === undefined ? "" : `/${prefix}`}${limits} for ${lifetime} s`,
    );
    return ok(undefined);
  }

  close(service: ServiceName, source: Address, only?: Entry): Result<void> {
    for (const [key, grant] of this.#grants) {
      const isAnother =
        only !== undefined &&
        (only.prefix !== grant.prefix ||
          only.sourcePort !== grant.sourcePort ||
          only.connections > 0 !== grant.counted);
      if (isAnother) continue;
      if (grant.service === service && grant.source.equals(keyIn(grant, source))) this.#grants.delete(key);
    }
    this.#log(`[dry-run] close ${service} to ${source.text}`);
    return ok(undefined);
  }

  list(): Result<OpenGrant[]> {
    const now = this.#now();
    for (const [key, grant] of this.#grants) if (grant.deadline <= now) this.#grants.delete(key);
    const places = new Map<string, OpenGrant>();
    for (const { service, source, prefix, sourcePort, deadline } of this.#grants.values()) {
      const place = `${service} ${source.text} ${prefix ?? ""} ${sourcePort ?? ""}`;
      const remaining = Math.max(places.get(place)?.remaining ?? 0, deadline - now);
      places.set(place, { service, source, prefix, sourcePort, remaining });
    }
    return ok([...places.values()]);
  }

  watch(): () => void {
    return () => undefined;
  }

  dispose(): void {
    this.#grants.clear();
  }
}

/** Walks that are put nowhere. */
export class DryRunKnocks implements KnockRules {
  readonly pollMillis = 1_000;
  readonly mostDevices = 1_000;
  readonly room = undefined;
  readonly #log: Log;
  #steps: readonly TimeStep[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  held(): Result<readonly TimeStep[]> {
    return ok(this.#steps);
  }

  replace(put: readonly StepWalks[], keep: readonly StepWalks[]): Result<void> {
    this.#steps = [...keep, ...put].map(({ step }) => step);
    this.#log(`[dry-run] walks of knock sequences for the steps ${this.#steps.join(", ")}`);
    return ok(undefined);
  }

  wins(): Result<readonly Win[]> {
    return ok([]);
  }

  burn(): Result<void> {
    return ok(undefined);
  }
}
