import type { DeviceId } from "../../shared/brand.ts";
import type { ErrorCode } from "../../shared/errors.ts";
import type { Result } from "../../shared/result.ts";
import type { GuardState } from "../core/firewall.ts";

/** What `tockd status` shows. */
export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly upSeconds: number;
  readonly backend: string;
  readonly filter: string;
  readonly guard: GuardState;
  /** Seconds until the guard takes itself off for want of `tockd guard confirm`; null = it is not on trial. */
  readonly guardTrial: number | null;
  /** Networks that never need a grant. */
  readonly allow: readonly string[];
  readonly devices: number;
  /** Whether any device is enabled and enrolled. */
  readonly openable: boolean;
  readonly grants: number;
  readonly packets: Readonly<Record<string, number>>;
  /** Grants opened since the start. */
  readonly opened: number;
  readonly refused: number;
  /** Frames that the kernel's filter let through. */
  readonly seen: number;
  readonly lost: number;
  /** Unix milliseconds until which packets are refused for want of a trusted journal; 0 = none. */
  readonly refusingUntil: number;
  readonly clock: ClockView | null;
  readonly trail: {
    readonly lines: number;
    readonly waiting: number;
    readonly lost: number;
    readonly trouble: string | null;
  };
  readonly reloads: number;
  /** The configuration file had mistakes at the start: what was last taken from it is used, until a reload. */
  readonly fromLastGood: boolean;
}

interface ClockView {
  readonly synchronised: boolean;
  /** Seconds. */
  readonly offset: number;
  readonly maxError: number;
}

/** One open grant: who let which address in to what. Without a device nobody knows who it was. */
export interface GrantView {
  /** Stays the same as long as the grant is open. */
  readonly id: string;
  readonly device: string | null;
  readonly user: string | null;
  readonly service: string;
  /** An address; of a grant for a network, the network: `198.51.100.0/24`. */
  readonly address: string;
  readonly sourcePort: number | null;
  /** As the kernel has it. */
  readonly secondsLeft: number;
}

/** An SSH connection, as SSH_CONNECTION tells it. */
export interface Session {
  readonly client: string;
  readonly clientPort: number;
  readonly server: string;
  readonly serverPort: number;
  /** When it came to be, in unix milliseconds; null = not known. */
  readonly since: number | null;
}

/** What is wrong with a new configuration, as errors are printed. */
export interface Mistake {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
}

export interface EventQuery {
  /** Unix milliseconds. */
  readonly since?: number | undefined;
  readonly user?: string | undefined;
  /** Goes on with events as they come. */
  readonly follow: boolean;
}

/** Every call that a command can make: its parameters and its answer. */
export interface Methods {
  status: { params: undefined; value: Status };
  grants: { params: undefined; value: readonly GrantView[] };
  /** Sends `{ event }` for each line of the audit trail, then, where it follows, for each as it comes. */
  events: { params: EventQuery; value: void };
  metrics: { params: undefined; value: string };
  "guard-on": { params: undefined; value: void };
  "guard-off": { params: undefined; value: void };
  /** Puts the guard on for so many seconds; it takes itself off unless it is confirmed. */
  "guard-trial": { params: { readonly seconds: number; readonly session: Session | null }; value: void };
  /** Keeps the guard. `session` is where the command runs; null = nothing is checked. */
  "guard-confirm": { params: { readonly session: Session | null }; value: void };
  revoke: {
    params: { readonly target: string; readonly kill: boolean };
    value: { readonly ended: readonly GrantView[]; readonly cut: number };
  };
  grant: {
    params: {
      readonly user: string;
      readonly service: string;
      readonly address: string;
      /** The service's own where it is null. */
      readonly seconds: number | null;
    };
    value: { readonly lifetime: number };
  };
  /** Reads the configuration anew: all of it, or nothing where there are mistakes. */
  reload: {
    params: undefined;
    value: {
      readonly changed: readonly string[];
      readonly mistakes: readonly Mistake[];
      /** What devices do not know by themselves. */
      readonly advice: readonly string[];
    };
  };
  /** Devices of the store were changed: read them again. Grants of removed or disabled ones are closed. */
  "devices-changed": { params: { readonly ids: readonly DeviceId[] }; value: void };
}

/** Calls that change nothing: they are served to group `tock` as well. */
export const LOOKING = ["status", "grants", "events", "metrics"] as const satisfies readonly Method[];

/** The socket for those who may look, beside the one for those who may change things. */
export function viewSocket(socket: string): string {
  return socket.endsWith(".sock") ? `${socket.slice(0, -5)}-view.sock` : `${socket}-view`;
}

export type Method = keyof Methods;

/** For calls that go on: `send` writes a line, `drained` waits for a slow reader, `closed` ends when the caller has gone. */
export interface Stream {
  send(value: unknown): boolean;
  drained(): Promise<void>;
  readonly closed: Promise<void>;
  /** Whether the caller has gone. */
  gone(): boolean;
  /** Lets the caller go, with what still waits for it. */
  leave(): void;
}

export type Handlers = {
  readonly [M in Method]: (
    params: Methods[M]["params"],
    stream: Stream,
  ) => Result<Methods[M]["value"]> | Promise<Result<Methods[M]["value"]>>;
};

export interface Call {
  readonly method: Method;
  readonly params: unknown;
}
