import type { Address } from "../../shared/address.ts";
import type { DeviceId, Seconds, ServiceName } from "../../shared/brand.ts";

/** Who did something, from where. */
interface Actor {
  readonly device: DeviceId;
  readonly source: Address;
}

/**
 * What the audit trail tells: things that an enrolled device did, or that the owner must know.
 * What strangers can cause is only ever counted, in `drops`.
 */
export type AuditEvent =
  | (Actor & {
      readonly kind: "granted";
      /** `command`: opened by hand, by whoever may run commands as the daemon's owner. */
      readonly via: "spa" | "stun" | "knock" | "command";
      readonly service: ServiceName;
      readonly allowed: Address;
      /** The network around `allowed` is let in, of this prefix length. */
      readonly prefix?: number;
      readonly lifetime: Seconds;
      /** The packet asked for more than it may have. */
      readonly capped: boolean;
      /** The guard is off: everybody can connect, and the kernel was given nothing. */
      readonly unguarded?: true;
      /** Packet received to kernel confirmed, in microseconds. */
      readonly micros: number;
    })
  | (Actor & { readonly kind: "closed"; readonly service: ServiceName; readonly allowed: Address })
  | {
      /**
       * A grant's end that its device did not ask for: its time was over, a command or a new configuration ended it, or the
       * daemon found at its start that nobody could open it any more.
       */
      readonly kind: "ended";
      readonly device: DeviceId | undefined;
      readonly service: ServiceName;
      readonly allowed: Address;
      readonly why: "time" | "command" | "reload" | "start";
      /** Established connections that were cut as well. */
      readonly cut?: number;
    }
  | (Actor & { readonly kind: "refused"; readonly service: ServiceName | undefined; readonly rule: string })
  | (Actor & { readonly kind: "replayed"; readonly first: Address | undefined })
  | (Actor & { readonly kind: "rotated" | "enrolled" | "link-opened" })
  | (Actor & { readonly kind: "enrolment-reused" | "retired-secret-used" })
  | {
      readonly kind: "firewall-error";
      readonly message: string;
      readonly device?: DeviceId;
      readonly service?: ServiceName;
    }
  | { readonly kind: "journal-error"; readonly message: string }
  | { readonly kind: "store-error"; readonly message: string; readonly device?: DeviceId }
  | {
      readonly kind: "guard";
      /** `trial`: on until a new connection confirms it, or the time is over. */
      readonly state: "on" | "off" | "restored" | "trial" | "confirmed";
      readonly by: "command" | "start" | "watch" | "time";
    }
  | {
      readonly kind: "started";
      readonly version: string;
      /** What is wrong with the configuration file: the last good configuration is used instead. */
      readonly mistakes?: readonly string[];
    }
  | { readonly kind: "stopped"; readonly version: string }
  | { readonly kind: "reloaded"; readonly changed: readonly string[] }
  | { readonly kind: "reload-failed"; readonly mistakes: readonly string[] }
  | { readonly kind: "drops"; readonly counts: Readonly<Record<string, number>>; readonly lost: number };

/** Events that ask for somebody's attention. */
export function isAlarm(event: AuditEvent): boolean {
  switch (event.kind) {
    case "replayed":
    case "enrolment-reused":
    case "retired-secret-used":
    case "firewall-error":
    case "journal-error":
    case "store-error":
      return true;
    case "guard":
      return event.by === "watch" || event.by === "time";
    case "reload-failed":
      return true;
    case "started":
      return event.mistakes !== undefined;
    case "granted":
    case "closed":
    case "ended":
    case "stopped":
    case "reloaded":
    case "refused":
    case "rotated":
    case "enrolled":
    case "link-opened":
    case "drops":
      return false;
  }
}
