import { type Address, parseAddress } from "../shared/address.ts";
import { type Port, parsePort, parseServiceName, quote } from "../shared/brand.ts";
import type { ServerInfo } from "../shared/enrolment.ts";
import { TockError } from "../shared/errors.ts";
import type { Result } from "../shared/result.ts";
import type { Family } from "./resolve.ts";
import { usage } from "./ui.ts";

/** Values of options. Each gives undefined where the option was not given, and throws a usage error for a wrong value. */

const UNITS: ReadonlyMap<string, number> = new Map([
  ["s", 1],
  ["m", 60],
  ["h", 3600],
]);

/** A whole number of seconds, or one with s, m or h. */
export function duration(name: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const match = /^([0-9]{1,6})(s|m|h)?$/.exec(text);
  const value = Number(match?.[1]) * (UNITS.get(match?.[2] ?? "s") ?? 1);
  if (match !== null && value >= 1 && value <= most) return value;
  throw usage(
    `--${name}: expected 1 to ${most} seconds, got ${quote(text)}`,
    `for example --${name} 60 or --${name} 5m`,
  );
}

/** Seconds with decimals, given back as milliseconds. */
export function milliseconds(
  name: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,4}(\.[0-9]{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : -1;
  if (value >= least && value <= most) return value;
  throw usage(`--${name}: expected seconds from ${least / 1000} to ${most / 1000}, got ${quote(text)}`);
}

export function wholeNumber(
  name: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : -1;
  if (value >= least && value <= most) return value;
  throw usage(`--${name}: expected a whole number from ${least} to ${most}, got ${quote(text)}`);
}

export function port(name: string, text: string | undefined): Port | undefined {
  return text === undefined ? undefined : checked(name, parsePort(text), "port: ");
}

export function address(name: string, text: string | undefined): Address | undefined {
  return text === undefined ? undefined : checked(name, parseAddress(text), "address: ");
}

export function oneOf<const T extends string>(
  name: string,
  text: string | undefined,
  all: readonly T[],
): T | undefined {
  const found = all.find((candidate) => candidate === text);
  if (text === undefined || found !== undefined) return found;
  throw usage(`--${name}: expected ${all.join(" or ")}, got ${quote(text)}`);
}

/** A code of six digits, which authenticator apps may show with a space in the middle. */
export function otpCode(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const digits = text.replaceAll(" ", "");
  // The code itself is not repeated: it is a secret for as long as it works.
  if (/^[0-9]{6}$/.test(digits)) return Number(digits);
  throw usage(`--${name}: expected a code of 6 digits, got ${digits.length} characters`);
}

export function family(given: { readonly ipv4?: true; readonly ipv6?: true }): Family {
  if (given.ipv4 && given.ipv6)
    throw usage("-4 and -6 are given both", "leave out both to use both families");
  if (given.ipv4) return 4;
  return given.ipv6 ? 6 : undefined;
}

type Service = ServerInfo["services"][number];

/** The service that was named; else the only or first one of the profile. */
export function serviceNamed(info: ServerInfo, name: string | undefined): Service {
  const [first] = info.services;
  const found = name === undefined ? first : info.services.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  if (name !== undefined && !parseServiceName(name).ok)
    checked("service", parseServiceName(name), "service name: ");
  const known = info.services.map((candidate) => candidate.name).join(", ");
  const hint = `it has: ${known}; for one that is new on the server, a new link: tockd device rotate ${info.device}`;
  throw new TockError("not-found", `this profile has no service ${quote(name ?? "")}`, hint);
}

/** The value, or its error as one of usage that names the option. */
function checked<T>(name: string, result: Result<T>, prefix: string): T {
  if (result.ok) return result.value;
  const message = result.error.message.replace(prefix, "");
  throw usage(`${name === "service" ? name : `--${name}`}: ${message}`, result.error.hint);
}
