import type { Network } from "../../shared/address.ts";
import type { Seconds, ServiceName, UnixMillis } from "../../shared/brand.ts";
import type { Hours } from "./hours.ts";

/**
 * Which address a grant lets in.
 * - `packet`: the packet's own source; a packet that claims another is refused
 * - `claimed`: the address that the packet claims, or its own source where it claims none
 * - `claimed-must-match`: the packet must claim an address and come from it
 */
export type AddressRule = "packet" | "claimed" | "claimed-must-match";

/** Prefix lengths by family; undefined = an address is let in alone. */
export type Widths = Readonly<Record<4 | 6, number | undefined>>;

/** What the configuration lets one person do. */
export interface User {
  readonly name: string;
  readonly enabled: boolean;
  readonly services: readonly ServiceName[];
  readonly expiresAt: UnixMillis | undefined;
  /** Where packets may come from; empty = anywhere. */
  readonly networks: readonly Network[];
  /** Networks that are refused whatever `networks` says. */
  readonly deny: readonly Network[];
  readonly mayKnock: boolean;
  /** When things may be opened; undefined = always. */
  readonly hours: Hours | undefined;
  /** Every grant must be for one source port. */
  readonly bindsPort: boolean;
  /** New connections per grant; 0 = as many as come while it lasts. */
  readonly connections: number;
  readonly address: AddressRule;
  /** Grants are for the network around the address, for carriers that change addresses. */
  readonly widen: Widths;
  /** Cap on lifetimes, in addition to the service's. */
  readonly maxTtl: Seconds | undefined;
  readonly secondFactor: boolean;
}
