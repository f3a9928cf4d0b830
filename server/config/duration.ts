import { type Seconds, seconds } from "../../shared/brand.ts";

const UNITS = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 } as const;
type Unit = keyof typeof UNITS;

/** The longest duration that means anything here: some 65 years (2^31 seconds are 68). */
const LONGEST = 24_000 * UNITS.d;

/** `30s`, `10m`, `2h`, `90d` or `4w`, one unit, at least one second; anything else is undefined. */
export function parseDuration(text: string): Seconds | undefined {
  const match = /^([1-9][0-9]{0,9})([smhdw])$/.exec(text);
  if (match === null) return undefined;
  const value = Number(match[1]) * UNITS[match[2] as Unit];
  return value <= LONGEST ? seconds(value) : undefined;
}

/** The shortest text in one unit that {@link parseDuration} takes back: 90 is `90s`, 120 is `2m`. */
export function formatDuration(value: Seconds): string {
  const unit = (["w", "d", "h", "m"] as const).find((unit) => value > 0 && value % UNITS[unit] === 0) ?? "s";
  return `${value / UNITS[unit]}${unit}`;
}

/** A length of time for people, rounded down to its largest unit: `45s`, `12m`, `3h`, `40d`. */
export function roughly(millis: number): string {
  const whole = Math.max(0, Math.floor(millis / 1000));
  const unit = (["d", "h", "m"] as const).find((unit) => whole >= UNITS[unit]) ?? "s";
  return `${Math.floor(whole / UNITS[unit])}${unit}`;
}
