import type { DeviceId } from "../../shared/brand.ts";
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
  readonly devices: number;
  readonly grants: number;
  readonly packets: Readonly<Record<string, number>>;
  readonly lost: number;
  /** Unix milliseconds until which packets are refused for want of a trusted journal; 0 = none. */
  readonly refusingUntil: number;
}

/** Every call that a command can make: its parameters and its answer. */
export interface Methods {
  status: { params: undefined; value: Status };
  "guard-on": { params: undefined; value: void };
  "guard-off": { params: undefined; value: void };
  /** Devices of the store were changed: read them again. Grants of removed or disabled ones are closed. */
  "devices-changed": { params: { readonly ids: readonly DeviceId[] }; value: void };
}

export type Method = keyof Methods;

/** For calls that go on: `send` writes a line, `closed` ends when the caller has gone. */
export interface Stream {
  send(value: unknown): boolean;
  readonly closed: Promise<void>;
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
