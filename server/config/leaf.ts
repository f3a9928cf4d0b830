import { TomlDate } from "smol-toml";
import * as v from "valibot";
import { parseAddress } from "../../shared/address.ts";
import {
  isName,
  parsePort,
  parseServiceName,
  type Port,
  type Seconds,
  type ServiceName,
  seconds,
  type UnixMillis,
} from "../../shared/brand.ts";
import { isHost } from "../../shared/enrolment.ts";
import { type PortRange, parsePortRange } from "../../shared/port-range.ts";
import type { Result } from "../../shared/result.ts";
import { parseDuration } from "./duration.ts";
import { isTimezone, parseWindows } from "./hours.ts";
import { instantOf, parseInstant } from "./instant.ts";
import { shown } from "./mistake.ts";

/** Separates the message of an issue from its hint. */
export const HINT = "\n";

/** Why a value was not taken: `expected` and `hint` in place of the leaf's own. */
export interface Refusal {
  readonly expected?: string;
  readonly hint?: string | undefined;
}

/**
 * A single value of the file: `read` gives what it means, or undefined or a refusal where it is not `expected`.
 * Its issue's message is `expected …, got …`, then {@link HINT} and the hint.
 */
export function leaf<T>(
  expected: string,
  read: (raw: unknown) => { value: T } | Refusal | undefined,
  hint?: string,
) {
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, T>(({ dataset, addIssue, NEVER }) => {
      const outcome = read(dataset.value);
      if (outcome !== undefined && "value" in outcome) return outcome.value;
      const text = `expected ${outcome?.expected ?? expected}, got ${shown(dataset.value)}`;
      const advice = outcome?.hint ?? hint;
      addIssue({ message: advice === undefined ? text : `${text}${HINT}${advice}` });
      return NEVER;
    }),
  );
}

/** A leaf that is text with a parser of its own. */
function textLeaf<T>(expected: string, parse: (text: string) => T | undefined, hint?: string) {
  const read = (raw: unknown): { value: T } | undefined => {
    const value = typeof raw === "string" ? parse(raw) : undefined;
    return value === undefined ? undefined : { value };
  };
  return leaf(expected, read, hint);
}

/** A list of `least` to `most` items. */
export function list<T extends v.GenericSchema>(item: T, least: number, most: number, hint: string) {
  const expected = `expected a list of ${least === 0 ? `at most ${most}` : `${least} to ${most}`} items`;
  const message = (got: string): string => `${expected}, got ${got}${HINT}${hint}`;
  return v.pipe(
    v.array(item, (issue) => message(shown(issue.input))),
    v.minLength(least, () => message("an empty list")),
    v.maxLength(most, (issue) => message(`${issue.input.length}`)),
  );
}

function valueOf<T>(result: Result<T>): T | undefined {
  return result.ok ? result.value : undefined;
}

export const flag = leaf<boolean>("true or false", (raw) =>
  typeof raw === "boolean" ? { value: raw } : undefined,
);

export function whole(least: number, most: number, hint?: string) {
  return leaf<number>(
    `a whole number from ${least} to ${most}`,
    (raw) =>
      typeof raw === "number" && Number.isInteger(raw) && raw >= least && raw <= most
        ? { value: raw }
        : undefined,
    hint,
  );
}

export function oneOf<const T extends string>(...choices: readonly T[]) {
  const list = choices.map((choice) => `"${choice}"`);
  const expected = `${list.slice(0, -1).join(", ")} or ${list.at(-1)}`;
  return textLeaf<T>(expected, (text) => choices.find((choice) => choice === text));
}

export const port = leaf<Port>("a whole number from 1 to 65535", (raw) => {
  const value = typeof raw === "number" ? valueOf(parsePort(raw)) : undefined;
  return value === undefined ? undefined : { value };
});

export const serverName = textLeaf(
  "a name of 1 to 63 letters, digits, ., - and _",
  (text) => (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text) ? text : undefined),
  "start it with a letter or digit, for example myserver",
);

export const host = textLeaf(
  "an IP address or a host name",
  (text) => (isHost(text) ? text : undefined),
  "without a port: that is [server] port",
);

export const absolutePath = textLeaf(
  "an absolute path",
  (text) => (/^\/[^\0]{0,4095}$/.test(text) ? text : undefined),
  "for example /var/lib/tock",
);

export const socketPath = textLeaf(
  "an absolute path of at most 107 bytes",
  (text) => (/^\/[^\0]*$/.test(text) && Buffer.byteLength(text) <= 107 ? text : undefined),
  "for example /run/tock/tockd.sock",
);

/** `"127.0.0.1:9300"` or `"[::1]:9300"`: whoever is not on this machine shall not see a listening port. */
export const loopback = textLeaf<{ readonly address: string; readonly port: Port }>(
  "an address of this machine alone and a port",
  (text) => {
    const match = /^(?:(127(?:\.[0-9]{1,3}){3})|\[(::1)\]):([0-9]{1,5})$/.exec(text);
    const address = valueOf(parseAddress(match?.[1] ?? match?.[2] ?? ""));
    const port = valueOf(parsePort(match?.[3] ?? ""));
    return address === undefined || port === undefined ? undefined : { address: address.text, port };
  },
  'for example "127.0.0.1:9300" or "[::1]:9300"',
);

/** A program and its arguments, as they are: no shell looks at them. */
export const argv = leaf<readonly [string, ...string[]]>(
  "a list of texts that begins with the whole path of a program",
  (raw) => {
    if (!Array.isArray(raw) || raw.length > 64 || !raw.every((each) => typeof each === "string"))
      return undefined;
    const words: string[] = raw;
    const [program, ...args] = words;
    if (program === undefined || words.some((word) => word.includes("\0"))) return undefined;
    return /^\/./.test(program)
      ? { value: [program, ...args] }
      : { hint: "name the program by its whole path" };
  },
  'for example ["/usr/local/bin/tell", "grant"]; it is not run by a shell',
);

export const account = textLeaf(
  "the name of a user of this machine",
  (text) => (/^[a-z_][a-z0-9_-]{0,31}$/.test(text) ? text : undefined),
  "for example nobody",
);

/** `"30s"`; `least` and `most` in seconds. */
export function duration(least: number, most: number, limits: string) {
  return leaf<Seconds>(
    'a duration such as "30s", "10m", "2h" or "90d"',
    (raw) => {
      const value = typeof raw === "string" ? parseDuration(raw) : undefined;
      if (value === undefined) return suggestUnit(raw);
      return value >= least && value <= most ? { value } : { expected: limits };
    },
    "one whole number and one unit: s, m, h, d or w",
  );
}

function suggestUnit(raw: unknown): Refusal | undefined {
  const isCount = typeof raw === "number" && Number.isInteger(raw) && raw > 0;
  return isCount ? { hint: `write it as text with a unit: "${raw}s"` } : undefined;
}

/** A duration, or `"never"`, which is given as undefined. */
export function durationOrNever(least: number, limits: string) {
  return leaf<Seconds | undefined>(
    'a duration such as "30d", or "never"',
    (raw) => {
      if (raw === "never") return { value: undefined };
      const value = typeof raw === "string" ? parseDuration(raw) : undefined;
      if (value === undefined) return suggestUnit(raw);
      return value >= least ? { value: seconds(value) } : { expected: limits };
    },
    "one whole number and one unit: s, m, h, d or w",
  );
}

export const instant = leaf<UnixMillis>(
  "a date such as 2027-01-31 or 2027-01-31T18:00:00Z",
  (raw) => {
    const value =
      raw instanceof TomlDate ? instantOf(raw) : typeof raw === "string" ? parseInstant(raw) : undefined;
    if (value !== undefined) return { value };
    const isSpan = typeof raw === "string" && parseDuration(raw) !== undefined;
    return isSpan ? { hint: "a file does not know when it was written: give the date itself" } : undefined;
  },
  "year, month, day; UTC unless it has an offset; a date alone is its first moment",
);

export const portRange = leaf<PortRange>("tcp/PORT, udp/PORT or tcp/FIRST-LAST", (raw) => {
  const result = typeof raw === "string" ? parsePortRange(raw) : undefined;
  if (result?.ok) return { value: result.value };
  return { hint: portHint(raw) };
});

/** What a person who wrote `raw` most likely wanted. */
function portHint(raw: unknown): string {
  const text = typeof raw === "string" || typeof raw === "number" ? String(raw) : "";
  const swapped = /^(tcp|udp)\/([0-9]+)-([0-9]+)$/.exec(text);
  if (swapped && Number(swapped[2]) > Number(swapped[3])) {
    return meant(`${swapped[1]}/${swapped[3]}-${swapped[2]}`, "the first port comes first");
  }
  const bare = /^([0-9]{1,5}(?:-[0-9]{1,5})?)$/.exec(text);
  if (bare) return meant(`tcp/${bare[1]}`, "say the protocol too");
  const turned = /^([0-9]{1,5}(?:-[0-9]{1,5})?)\/(tcp|udp)$/i.exec(text);
  if (turned) return meant(`${turned[2]?.toLowerCase()}/${turned[1]}`, "the protocol comes first");
  return 'ports go from 1 to 65535, for example "tcp/22" or "udp/60000-61000"';
}

function meant(text: string, otherwise: string): string {
  return parsePortRange(text).ok ? `did you mean "${text}"?` : otherwise;
}

/** `"10000-32767"` */
export const knockPorts = leaf<{ readonly first: Port; readonly last: Port }>(
  'FIRST-LAST such as "10000-32767"',
  (raw) => {
    const match = typeof raw === "string" ? /^([0-9]{1,5})-([0-9]{1,5})$/.exec(raw) : null;
    const first = valueOf(parsePort(match?.[1] ?? ""));
    const last = valueOf(parsePort(match?.[2] ?? ""));
    if (first === undefined || last === undefined) return undefined;
    return first <= last ? { value: { first, last } } : { hint: `did you mean "${last}-${first}"?` };
  },
  "ports go from 1 to 65535",
);

/** `"mon-fri 08:00-18:00"`, kept as it is written. */
export const hours = textLeaf(
  'days and times such as "mon-fri 08:00-18:00"',
  (text) => (parseWindows(text) === undefined ? undefined : text),
  'days: mon, tue, wed, thu, fri, sat, sun, "mon-fri", "sat,sun" or daily; times from 00:00 to 24:00',
);

export const timezone = textLeaf(
  "the name of a time zone",
  (text) => (isTimezone(text) ? text : undefined),
  "for example Europe/Berlin, or UTC",
);

export const serviceName = textLeaf<ServiceName>(
  "a name of 1 to 16 of a-z, 0-9, - and _",
  (text) => valueOf(parseServiceName(text)),
  "start it with a letter or digit, for example ssh",
);

export const userName = textLeaf(
  "a name of 1 to 32 of a-z, 0-9, ., - and _",
  (text) => (isName(text) ? text : undefined),
  "start it with a letter or digit, lower case, for example alice",
);
