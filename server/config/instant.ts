import { TomlDate } from "smol-toml";
import { type UnixMillis, unixMillis } from "../../shared/brand.ts";

const FORM = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d{2}:\d{2})?)?$/;

/**
 * A moment from text in TOML's own forms: `2027-01-31`, `2027-01-31T18:00:00`, `2027-01-31T18:00:00+01:00`.
 * A date alone is its first moment; without an offset it is UTC. Anything else, and any time before 1970, is undefined.
 */
export function parseInstant(text: string): UnixMillis | undefined {
  return FORM.test(text) && isDay(text) ? instantOf(new TomlDate(text.toUpperCase())) : undefined;
}

/** Whether the day that a text begins with is in the calendar: dates of JavaScript turn 30 February into 2 March. */
export function isDay(text: string): boolean {
  const day = text.slice(0, 10);
  const date = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

/** The same from a TOML date or date-time. A time of day without a date is undefined. */
export function instantOf(date: TomlDate): UnixMillis | undefined {
  const value = date.isTime() ? Number.NaN : date.getTime();
  return value >= 0 && value < 2 ** 48 ? unixMillis(value) : undefined;
}
