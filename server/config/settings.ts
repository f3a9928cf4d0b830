import type { Network } from "../../shared/address.ts";
import type { Port, Seconds } from "../../shared/brand.ts";
import type { KnockShape } from "../../shared/knock-sequence.ts";
import type { Skew } from "../../shared/time-step.ts";
import type { Service } from "../core/grant.ts";
import type { User } from "../core/user.ts";

/** The effective configuration, checked: what the TOML file says, with every default filled in. */
export interface Settings {
  readonly server: {
    /** What people call this server; the default name of a client's profile. */
    readonly name: string;
    /** Where clients send packets: IP literals first, then host names. */
    readonly addresses: readonly string[];
    /** UDP port of SPA packets. */
    readonly port: Port;
    /** Folder of the device store and the replay journal. */
    readonly state: string;
    /** Unix socket of the running daemon. */
    readonly socket: string;
    /** Whom a daemon that is started as root becomes, if there is such a user. */
    readonly user: string;
    readonly reply: "authenticated" | "never";
    /** Who follows packets and knocks: the daemon, or rules in the kernel, which know knocks alone. */
    readonly engine: "packets" | "kernel";
  };
  readonly skew: Skew;
  readonly knock: KnockShape & { readonly transport: "tcp" | "udp" | "both" };
  readonly firewall: {
    readonly backend: "iptables" | "nftables" | "dry-run";
    /** Sources that never need to ask: every service is open to them. */
    readonly allow: readonly Network[];
  };
  readonly services: readonly Service[];
  readonly users: readonly User[];
  readonly rotation: { readonly rotateAfter: Seconds | undefined; readonly expireAfter: Seconds | undefined };
  readonly metrics: {
    /** Where figures for Prometheus are served besides the Unix socket: loopback alone. */
    readonly listen: { readonly address: string; readonly port: Port } | undefined;
  };
  readonly hooks: {
    /** A program by its path, and its arguments. */
    readonly onGrant: readonly [string, ...string[]] | undefined;
    readonly onClose: readonly [string, ...string[]] | undefined;
    readonly onAlarm: readonly [string, ...string[]] | undefined;
    /** Whom they run as where the daemon is root. */
    readonly user: string;
    readonly timeout: Seconds;
  };
}
