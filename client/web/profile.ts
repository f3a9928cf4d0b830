import { decodeServerInfo, encodeServerInfo, type ServerInfo } from "../../shared/enrolment.ts";
import type { Box } from "./passphrase.ts";

/** A secret as it is kept: usable by any script of this page but not readable, or sealed under a passphrase. */
export type Kept =
  | { readonly kind: "key"; readonly key: CryptoKey }
  | { readonly kind: "box"; readonly box: Box };

export interface NextSecret {
  readonly secret: Kept;
  /** The ephemeral public key, 32 bytes: asking again must ask for the same secret. */
  readonly ephemeral: Uint8Array;
  /** Unix ms. */
  readonly since: number;
  /** The server said that it has stored this secret too. */
  readonly acknowledged: boolean;
}

/** One server that this browser is enrolled at, as IndexedDB holds it. */
export interface Profile {
  readonly id: string;
  readonly name: string;
  /** encodeServerInfo's value. */
  readonly info: Record<string, unknown>;
  readonly createdAt: number;
  readonly current: Kept;
  /** Unix ms: when `current` came to be. */
  readonly since: number;
  /** `current` came out of a link, and all that it can do is rotate. */
  readonly enrolling: boolean;
  readonly next?: NextSecret | undefined;
  /** Milliseconds to add to this device's clock to get the server's, where the user chose to. */
  readonly clockAhead: number;
  /** The login name for ssh commands; empty = leave it out. */
  readonly login: string;
  /** Services that are open, and until when (unix ms). */
  readonly open: Readonly<Record<string, number>>;
}

/** The server's description. Undefined where it is damaged. */
export function infoOf(profile: Profile): ServerInfo | undefined {
  const info = decodeServerInfo(profile.info);
  return info.ok ? info.value : undefined;
}

export function newProfile(info: ServerInfo, current: Kept, enrolling: boolean, now: number): Profile {
  return {
    id: crypto.randomUUID(),
    name: info.server,
    info: encodeServerInfo(info),
    createdAt: now,
    current,
    since: now,
    enrolling,
    clockAhead: 0,
    login: "",
    open: {},
  };
}

export function isLocked(profile: Profile): boolean {
  return profile.current.kind === "box" || profile.next?.secret.kind === "box";
}
