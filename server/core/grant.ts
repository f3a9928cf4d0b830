import type { Address } from "../../shared/address.ts";
import type { DeviceId, Port, Seconds, ServiceName, UnixMillis } from "../../shared/brand.ts";
import type { PortRange } from "../../shared/port-range.ts";
import type { Target } from "./target.ts";

export type { PortRange };

/** What the guard keeps shut, and what one grant opens. */
export interface Service {
  readonly name: ServiceName;
  readonly ports: readonly PortRange[];
  /** Lifetime of a grant when the packet asks for none. */
  readonly ttl: Seconds;
  /** Cap on what a packet may ask for. */
  readonly maxTtl: Seconds;
  /** Opening takes a second-factor code, whoever asks. */
  readonly secondFactor: boolean;
  /**
   * The ports are guarded in packets to other hosts too, which this machine routes: to any, or to those of these networks, as text.
   * Undefined = only in packets to this machine.
   */
  readonly forward?: true | readonly string[];
  /** Where the service's one port leads to, at most one target of each family; undefined = to this machine. */
  readonly to?: readonly Target[];
}

declare const made: unique symbol;

/**
 * One source address let in to one service until the kernel's own timer ends it.
 * Only `grantOf` in policy.ts makes one, and the firewall takes nothing else.
 */
export interface Grant {
  readonly [made]: true;
  readonly device: DeviceId;
  readonly service: Service;
  readonly source: Address;
  /** The length of the prefix of `source` that is let in with it; undefined = `source` alone. Never with `sourcePort`. */
  readonly prefix: number | undefined;
  readonly lifetime: Seconds;
  readonly expiresAt: UnixMillis;
  /** New connections let in before the grant is spent; 0 = as many as come while it lasts. */
  readonly connections: number;
  /** Only this source port is let in; undefined = any. */
  readonly sourcePort: Port | undefined;
}
