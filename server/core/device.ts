import type { DeviceId, ServiceName, UnixMillis } from "../../shared/brand.ts";
import type { Secret } from "../../shared/secret.ts";

/** A secret and the moment it came to be. */
export interface DatedSecret {
  readonly secret: Secret;
  readonly since: UnixMillis;
}

/**
 * One enrolled client of one user, as the store keeps it. Values are replaced, never changed in place.
 *
 * At most `current` and `next` ever work. A `retired` secret grants nothing: its tags are still recognised until
 * `until`, so that the use of a stolen copy is seen.
 */
export interface Device {
  readonly id: DeviceId;
  readonly enabled: boolean;
  readonly current: DatedSecret;
  /** When `current` stops working though `next` was never used; undefined = it does not. */
  readonly currentUntil: UnixMillis | undefined;
  readonly next: DatedSecret | undefined;
  /** `next` came from a link: once used it may do one thing only, rotate. */
  readonly nextFromLink: boolean;
  readonly retired: readonly { readonly secret: Secret; readonly until: UnixMillis }[];
  /** `current` came from a link and may do one thing only: rotate. */
  readonly enrolling: boolean;
  /** The secret never rotates (clients that can only knock). */
  readonly isStatic: boolean;
  /** Narrows the services of the user; undefined = all of them. */
  readonly services: readonly ServiceName[] | undefined;
  readonly expiresAt: UnixMillis | undefined;
}

/** Which secret of a device a packet was made with. */
export type Slot = "current" | "next" | "retired";
