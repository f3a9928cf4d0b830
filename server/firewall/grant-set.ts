import type { Address } from "../../shared/address.ts";
import type { ServiceName } from "../../shared/brand.ts";
import type { Result } from "../../shared/result.ts";

/**
 * A set in the kernel that holds grants of one service: one element a grant, each with its own time-out.
 * A service has one for each family and kind, so that a packet costs the same however many grants are open.
 */
export interface GrantSet {
  readonly service: ServiceName;
  readonly family: 4 | 6;
  /** Keyed by source address and source port, not by address alone. */
  readonly port: boolean;
  /** Each element lets in a number of new connections, counted by the kernel. */
  readonly counted: boolean;
}

/** What identifies a grant within its set. */
export interface GrantKey {
  readonly source: Address;
  /** Given exactly in sets keyed by port. */
  readonly sourcePort: number | undefined;
}

/** An element as the kernel holds it. */
export interface HeldGrant extends GrantKey {
  /** Milliseconds until the kernel drops it; ipset counts whole seconds. */
  readonly remaining: number;
  /** New connections that it still lets in; undefined = any number. */
  readonly left: number | undefined;
}

/** Where a backend keeps grants. Every change is confirmed by the kernel before the call returns. */
export interface GrantStore {
  /** The grant sets that exist now. */
  sets(): Result<GrantSet[]>;
  /**
   * Lets a source in for `lifetime` seconds. One that is in already stays at least as long as it would have;
   * in counted sets `connections` more are let in.
   */
  add(set: GrantSet, key: GrantKey, lifetime: number, connections: number): Result<void>;
  /** Takes an element out. Ok also when it was not there. */
  remove(set: GrantSet, key: GrantKey): Result<void>;
  dump(set: GrantSet): Result<HeldGrant[]>;
}

/** Every set that a service has. */
export function setsOf(service: ServiceName): GrantSet[] {
  return ([4, 6] as const).flatMap((family) =>
    [false, true].flatMap((counted) => [false, true].map((port) => ({ service, family, port, counted }))),
  );
}

/** The set's name in the kernel, at most 31 characters (IPSET_MAXNAMELEN): `tock4-ssh`; `p` = by port, `c` = counted. */
export function nameOf(set: GrantSet): string {
  return `tock${set.family}${set.port ? "p" : ""}${set.counted ? "c" : ""}-${set.service}`;
}

/** The set that a name in the kernel stands for, or undefined when it is not Tock's. */
export function setNamed(name: string): GrantSet | undefined {
  const [, family, port, counted, service] =
    /^tock([46])(p?)(c?)-([a-z0-9][a-z0-9_-]{0,15})$/.exec(name) ?? [];
  if (service === undefined) return undefined;
  return {
    service: service as ServiceName,
    family: family === "4" ? 4 : 6,
    port: port === "p",
    counted: counted === "c",
  };
}
