import type { Address } from "../../shared/address.ts";
import type { Port, ServiceName } from "../../shared/brand.ts";
import type { Result } from "../../shared/result.ts";
import type { Grant, PortRange, Service } from "./grant.ts";
import type { Door } from "./knock-rules.ts";

/** What the guard keeps shut. Ports of a service open for granted sources; `silent` ports never open for anybody. */
export interface GuardPlan {
  /** Prefix lengths of the networks that grants can be for; undefined = single addresses alone. */
  readonly widths?: readonly Width[];
  readonly services: readonly Service[];
  /** Networks that every service is open to without a grant, as text such as `192.0.2.0/24`; undefined = none. */
  readonly allow?: readonly string[];
  /**
   * The SPA port and the knock range: dropped, so that they look like any other dropped port. A UDP port that stands alone is the
   * SPA port: it is dropped even to known flows, since Tock's reply makes its packet's flow known.
   */
  readonly silent: readonly PortRange[];
  /** The kernel follows knocks by itself; undefined = nobody knocks, or the daemon follows them. */
  readonly walk?: WalkPlan;
  /** The guard lets everything pass outside of this time; undefined = it is on for good. */
  readonly trial?: Trial;
}

/** A time by the system's clock, in whole unix seconds: from after `start` to before `end`. The kernel itself keeps it. */
export interface Trial {
  readonly start: number;
  readonly end: number;
}

/** What knocks are, and every door that a walk can open. */
export interface WalkPlan {
  readonly ranges: readonly PortRange[];
  readonly doors: readonly Door[];
}

/** A length of network prefixes that grants can be for. */
export interface Width {
  readonly family: 4 | 6;
  readonly prefix: number;
}

/** What the kernel tells grants apart by. */
export type Entry = Pick<Grant, "service" | "source" | "prefix" | "sourcePort" | "connections">;

/** One open grant as the kernel holds it. */
export interface OpenGrant {
  readonly service: ServiceName;
  /** Of a grant for a network, its first address. */
  readonly source: Address;
  readonly prefix: number | undefined;
  readonly sourcePort: Port | undefined;
  /** Milliseconds until the kernel closes it. */
  readonly remaining: number;
}

/** What became of a grant. `unguarded`: the guard is off and shuts nothing, so there was nothing to open. */
export type Opened = "confirmed" | "unguarded";

export type GuardState = "on" | "off" | "damaged";

/**
 * The one way to change the machine's packet filter.
 *
 * The guard drops new connections to what it protects unless they are granted. Loopback and established connections
 * pass. It never accepts on behalf of the machine's own firewall, and never touches a port that is not in its plan.
 * Every call answers only after the kernel did.
 */
export interface Firewall {
  readonly name: "iptables" | "nftables" | "dry-run";
  /** Puts the guard in, atomically; again with another plan replaces the rules and keeps the grants. */
  guardOn(plan: GuardPlan): Result<void>;
  /** Takes out the guard, its sets and so every grant, also what another backend has left. Nothing is left. */
  guardOff(): Result<void>;
  /** What the kernel holds now, compared with the plan last put in (or given). */
  guardState(plan: GuardPlan): Result<GuardState>;
  /** Lets the grant's source in; when it is in already its time is extended, never shortened. Ok = the kernel confirmed. */
  open(grant: Grant): Result<void>;
  /** Runs the code of `open` for a service that no guard knows: the kernel refuses, and nothing changes. */
  rehearse(grant: Grant): void;
  /** Ends the grants of one source to one service, or only what the kernel has for one of them. Ok also when there was none. */
  close(service: ServiceName, source: Address, only?: Entry): Result<void>;
  /** Every grant that the kernel holds. */
  list(): Result<OpenGrant[]>;
  /** Calls `changed` soon after anyone changed the packet filter, so that the guard can be checked. Returns the stop. */
  watch(changed: () => void): () => void;
  /** Frees descriptors. The guard and the grants stay. */
  dispose(): void;
}
