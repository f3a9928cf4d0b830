import {
  type DeviceId,
  parseDeviceId,
  parseServiceName,
  type ServiceName,
  type UnixMillis,
  unixMillis,
  userOf,
} from "../../shared/brand.ts";
import { quote } from "../../shared/brand.ts";
import { TockError } from "../../shared/errors.ts";
import { unwrap } from "../../shared/result.ts";
import { parseDuration } from "../config/duration.ts";
import { parseInstant } from "../config/instant.ts";
import { nearest } from "../config/nearest.ts";
import type { Settings } from "../config/settings.ts";
import type { User } from "../core/user.ts";

/** Values of the command line. Each throws a TockError that names the flag, what was expected and what came. */

export function deviceArgument(text: string): DeviceId {
  return unwrap(parseDeviceId(text));
}

/** The user in the configuration that a device belongs to. */
export function userOfDevice(id: DeviceId, settings: Settings, config: string): User {
  return userNamed(userOf(id), settings, config);
}

export function userNamed(name: string, settings: Settings, config: string): User {
  const user = settings.users.find((user) => user.name === name);
  if (user !== undefined) return user;
  const close = nearest(
    name,
    settings.users.map(({ name }) => name),
  );
  const add = `add to ${config}: [users.${/^[a-z0-9_-]+$/.test(name) ? name : quote(name)}] with services = ["${settings.services[0]?.name ?? "ssh"}"]`;
  throw new TockError(
    "not-found",
    `there is no user ${quote(name)} in ${config}`,
    close === undefined ? add : `did you mean ${close}?`,
  );
}

/** `--services a,b`: some of the user's own. Undefined where the flag is not given: all of them, also later ones. */
export function servicesFlag(text: string | undefined, user: User): ServiceName[] | undefined {
  if (text === undefined) return undefined;
  const names = [...new Set(text.split(",").map((name) => unwrap(parseServiceName(name.trim()))))];
  for (const name of names) {
    if (user.services.includes(name)) continue;
    const hint = `${user.name} has: ${user.services.join(", ")}`;
    throw new TockError("usage", `--services: user ${user.name} has no service ${quote(name)}`, hint);
  }
  return names;
}

/** `--expires 90d` or `--expires 2027-01-31`: a moment after `now`. */
export function momentFlag(flag: string, text: string, now: UnixMillis): UnixMillis {
  const span = parseDuration(text);
  const moment = span === undefined ? parseInstant(text) : unixMillis(now + span * 1000);
  const hint = "for example 90d, or 2027-01-31";
  if (moment === undefined) {
    throw new TockError("usage", `${flag}: expected a duration or a date, got ${quote(text)}`, hint);
  }
  if (moment > now) return moment;
  throw new TockError("usage", `${flag}: expected a date to come, got ${quote(text)}`, hint);
}

/** `--web URL`: the page that a link opens; the enrolment goes after its `#`. */
export function pageFlag(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPage = url !== undefined && ["https:", "http:", "file:"].includes(url.protocol);
  if (!isPage || text.includes("#") || !/^[\x21-\x7e]+$/.test(text)) {
    const hint = "for example https://www.example.org/tock/, with nothing after #";
    throw new TockError("usage", `--web: expected the address of a page, got ${quote(text)}`, hint);
  }
  return text;
}
