import { pino } from "pino";
import { LogOutput, writeNow } from "./log-output.ts";

export type Log = pino.Logger;

/** The names under which a secret would stand, should somebody ever log one; the first belt is that a Secret prints as `[secret]`. */
const REDACTED: ReadonlySet<string> = new Set(["secret", "key", "otp"]);

/**
 * JSON lines for machines; on a terminal, or with `human`, one short line an event. Written asynchronously, flushed at exit;
 * with `sync` at once.
 */
export function makeLog(options: {
  readonly human: boolean;
  readonly verbose: boolean;
  readonly sync?: boolean;
}): Log {
  const settings = {
    level: options.verbose ? "debug" : "info",
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }), log: redacted },
  };
  const atOnce = { write: (line: string) => writeNow(1, Buffer.from(line)) };
  if (!options.human) return pino(settings, options.sync === true ? atOnce : new LogOutput(1));
  return pino(settings, { write: (line: string) => process.stdout.write(`${humanLine(line)}\n`) });
}

/** The fields without secrets, be they named in them or in what they hold. By hand, as pino's own way costs more than the line. */
export function redacted(fields: Record<string, unknown>): Record<string, unknown> {
  let clean = fields;
  for (const name of Object.keys(fields)) {
    const before = fields[name];
    const after = REDACTED.has(name) ? "[Redacted]" : isNested(before) ? redacted(before) : before;
    if (after === before) continue;
    if (clean === fields) clean = { ...fields };
    clean[name] = after;
  }
  return clean;
}

/** Plain objects alone: others, such as addresses and secrets, know how they print. */
function isNested(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** `12:00:01 granted device=alice/phone service=ssh …`; warnings and errors carry their level. */
export function humanLine(json: string): string {
  const { time, level, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const loud = level === "info" || level === "debug" ? [] : [`${String(level)}:`];
  return plain([String(time).slice(11, 19), ...loud, String(msg), ...rest].join(" "));
}

/** Nothing that would mean something to a terminal: a torn line of the trail may hold any byte. */
export function plain(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029]/gu, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);
}
