import { type Address, maskAddress } from "../../shared/address.ts";
import type { ServiceName } from "../../shared/brand.ts";
import type { Result } from "../../shared/result.ts";
import type { Width } from "../core/firewall.ts";

/**
 * A set in the kernel that holds grants of one service: one element a grant, each with its own time-out.
 * A service has one for each family and kind, so that a packet costs the same however many grants are open.
 */
export interface GrantSet {
  readonly service: ServiceName;
  readonly family: 4 | 6;
  /** Keyed by source address and source port, not by address alone. */
  readonly port: boolean;
  /** Keyed by the source's network of this prefix length, not by its address. Never with `port`. */
  readonly prefix: number | undefined;
  /** Each element lets in a number of new connections, counted by the kernel. */
  readonly counted: boolean;
}

/** What identifies a grant within its set. */
export interface GrantKey {
  /** In sets keyed by network, its first address. */
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
export function setsOf(service: ServiceName, widths: readonly Width[] = []): GrantSet[] {
  return ([4, 6] as const).flatMap((family) => {
    const networks = widths.filter((width) => width.family === family);
    return [false, true].flatMap((counted) => [
      ...[false, true].map((port) => ({ service, family, port, prefix: undefined, counted })),
      ...networks.map(({ prefix }) => ({ service, family, port: false, prefix, counted })),
    ]);
  });
}

/** What an address is in a set: itself, or its network's first. */
export function keyIn(set: Pick<GrantSet, "prefix">, source: Address): Address {
  return set.prefix === undefined ? source : maskAddress(source, set.prefix);
}

/** The set's name in the kernel, at most 31 characters (IPSET_MAXNAMELEN): `tock4-ssh`; `p` = by port, `c` = counted, `n24` = by network. */
export function nameOf(set: GrantSet): string {
  return `tock${set.family}${set.port ? "p" : ""}${set.counted ? "c" : ""}${set.prefix === undefined ? "" : `n${set.prefix}`}-${set.service}`;
}

/** The set that a name in the kernel stands for, or undefined when it is not Tock's. */
export function setNamed(name: string): GrantSet | undefined {
  const [, family, port, counted, prefix, service] =
    /^tock([46])(p?)(c?)(?:n([1-9][0-9]{1,2}))?-([a-z0-9][a-z0-9_-]{0,15})$/.exec(name) ?? [];
  if (service === undefined) return undefined;
  return {
    service: service as ServiceName,
    family: family === "4" ? 4 : 6,
    port: port === "p",
    prefix: prefix === undefined ? undefined : Number(prefix),
    counted: counted === "c",
  };
}
