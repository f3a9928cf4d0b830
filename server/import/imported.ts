import { quote } from "../../shared/brand.ts";
import type { PortRange } from "../../shared/port-range.ts";

/** Something that did not come along, or came along changed. */
export interface Note {
  /** Line of the file; undefined where it is about the whole. */
  readonly line: number | undefined;
  /** The setting or door, as the file calls it. Never its value where that may be a secret. */
  readonly what: string;
  /** Why, and how Tock does it. */
  readonly why: string;
}

export interface ImportedService {
  readonly name: string;
  readonly ports: readonly PortRange[];
  /** Seconds. */
  readonly ttl: number | undefined;
  readonly maxTtl: number | undefined;
}

export interface ImportedUser {
  readonly name: string;
  readonly services: readonly string[];
  readonly networks: readonly string[];
  readonly expires: string | undefined;
  readonly knock: boolean;
  readonly address: "packet" | "claimed-must-match";
  /** Seconds. */
  readonly maxTtl: number | undefined;
  /** The device that is to be added for this user. */
  readonly device: string;
}

/** What another program's configuration comes to in Tock's words. */
export interface Imported {
  readonly services: readonly ImportedService[];
  readonly users: readonly ImportedUser[];
  /** UDP port of SPA packets, where the file tells. */
  readonly port: number | undefined;
  readonly transport: "tcp" | "udp" | "both" | undefined;
  readonly backend: "iptables" | "nftables";
  readonly onGrant: readonly string[] | undefined;
  readonly onClose: readonly string[] | undefined;
  readonly notes: readonly Note[];
}

/** A line of the file that is wrong in itself. */
export interface Mistake {
  readonly line: number;
  readonly message: string;
}

/** Tock's longest lifetime, in seconds (18 hours). */
export const MOST_TTL = 64_800;

/** Text from elsewhere as it may stand on a line: control and format characters, ends of lines too, are escaped. */
export function visible(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029]/gu, (sign) => quote(sign).slice(1, -1));
}
