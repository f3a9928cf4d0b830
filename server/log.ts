import { pino } from "pino";

export type Log = pino.Logger;

/** The names under which a secret would stand, should somebody ever log one; the first belt is that a Secret prints as `[secret]`. */
const REDACTED = ["secret", "*.secret", "key", "*.key", "otp", "*.otp"];

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
    redact: REDACTED,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (!options.human) return pino(settings, pino.destination({ dest: 1, sync: options.sync === true }));
  return pino(settings, { write: (line: string) => process.stdout.write(`${humanLine(line)}\n`) });
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
function plain(text: string): string {
  return text.replace(/[\p{C}\u2028\u2029]/gu, (sign) => `\\u{${(sign.codePointAt(0) ?? 0).toString(16)}}`);
}
