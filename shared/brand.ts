import { TockError } from "./errors.ts";
import { err, ok, type Result } from "./result.ts";

declare const brand: unique symbol;

/** A value of type T that only its own parser can make. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** A TCP or UDP port, 1 to 65535. */
export type Port = Brand<number, "Port">;
/** RFC 6238 §4.2 *T*: whole 30-second steps since the Unix epoch. */
export type TimeStep = Brand<number, "TimeStep">;
/** Milliseconds since the Unix epoch. */
export type UnixMillis = Brand<number, "UnixMillis">;
/** Whole seconds, 0 or more. */
export type Seconds = Brand<number, "Seconds">;
/** The name of a service: 1 to 16 characters of a–z, 0–9, `-` and `_`, a letter or digit first. */
export type ServiceName = Brand<string, "ServiceName">;
/** `user/device`, each part 1 to 32 characters of a–z, 0–9, `.`, `-` and `_`, a letter or digit first. */
export type DeviceId = Brand<string, "DeviceId">;

const SERVICE_NAME = /^[a-z0-9][a-z0-9_-]{0,15}$/;
const NAME_PART = /^[a-z0-9][a-z0-9._-]{0,31}$/;

/** A port from a number or its decimal text; anything else is `invalid`. */
export function parsePort(input: number | string): Result<Port> {
  const value = typeof input === "string" && /^[0-9]{1,5}$/.test(input) ? Number(input) : input;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65535) {
    return ok(value as Port);
  }
  return err(new TockError("invalid", `port: expected a whole number from 1 to 65535, got ${quote(input)}`));
}

/** A time step from a whole number, 0 to 2^53-1; anything else is a bug of the caller and throws RangeError. */
export function timeStep(value: number): TimeStep {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`time step: expected a whole number, 0 or more, got ${value}`);
  }
  return value as TimeStep;
}

/** Unix milliseconds, 0 to 2^48-1 (what a packet can carry); anything else throws RangeError. */
export function unixMillis(value: number): UnixMillis {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** 48) {
    throw new RangeError(`time: expected unix milliseconds from 0 to 2^48-1, got ${value}`);
  }
  return value as UnixMillis;
}

/** Seconds from a whole number, 0 to 2^31-1; anything else throws RangeError. */
export function seconds(value: number): Seconds {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** 31) {
    throw new RangeError(`seconds: expected a whole number from 0 to 2^31-1, got ${value}`);
  }
  return value as Seconds;
}

/** A service name; see {@link ServiceName} for its form. */
export function parseServiceName(input: string): Result<ServiceName> {
  if (SERVICE_NAME.test(input)) return ok(input as ServiceName);
  return err(
    new TockError(
      "invalid",
      `service name: expected 1 to 16 of a-z, 0-9, - and _, got ${quote(input)}`,
      "start it with a letter or digit, for example ssh",
    ),
  );
}

/** One part of a device id: the name of a user, or of a device of that user. */
export function isName(input: string): boolean {
  return NAME_PART.test(input);
}

/** A device id; see {@link DeviceId} for its form. */
export function parseDeviceId(input: string): Result<DeviceId> {
  const parts = input.split("/");
  if (parts.length === 2 && parts.every(isName)) return ok(input as DeviceId);
  return err(
    new TockError(
      "invalid",
      `device: expected user/device, got ${quote(input)}`,
      "for example alice/phone; each part 1 to 32 of a-z, 0-9, . - and _",
    ),
  );
}

/** The user's part of a device id. */
export function userOf(device: DeviceId): string {
  return device.slice(0, device.indexOf("/"));
}

/** Input as it may stand in an error message: quoted, control and format characters escaped, at most 64 characters. */
export function quote(input: unknown): string {
  const text = JSON.stringify(String(input)).replace(
    /\p{C}/gu,
    (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`,
  );
  return text.length > 66 ? `${text.slice(0, 62)}…"` : text;
}
