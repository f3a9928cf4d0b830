import { Hours, type Window } from "../core/hours.ts";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY = 1440;
const FORM =
  /^(?:((?:mon|tue|wed|thu|fri|sat|sun)(?:[-,](?:mon|tue|wed|thu|fri|sat|sun))*)|daily) (\d{2}):(\d{2})-(\d{2}):(\d{2})$/;

/**
 * `mon-fri 08:00-18:00`, `sat,sun 10:00-14:00`, `fri 22:00-06:00` (to the next morning), `daily 00:00-24:00`: the windows
 * that a text stands for, one a day. Anything else is undefined.
 */
export function parseWindows(text: string): Window[] | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, days, ...clock] = match;
  const [startHour = 0, startMinute = 0, endHour = 0, endMinute = 0] = clock.map(Number);
  const start = startHour * 60 + startMinute;
  const end = endHour * 60 + endMinute;
  if (startMinute > 59 || endMinute > 59 || start >= DAY || end > DAY || start === end) return undefined;
  return (days === undefined ? DAYS : days.split(",").flatMap(daysOf)).map((day) => {
    const from = DAYS.indexOf(day) * DAY;
    return { start: from + start, end: from + (end > start ? end : end + DAY) };
  });
}

/** `mon`, or `fri-mon` over the end of the week. */
function daysOf(text: string): string[] {
  const [first = "", last = first] = text.split("-");
  const from = DAYS.indexOf(first);
  const count = ((DAYS.indexOf(last) - from + 7) % 7) + 1;
  return Array.from({ length: count }, (_, index) => DAYS[(from + index) % 7] ?? first);
}

/** Whether the time zone is one that this machine knows. UTC always is: to ask loads ten megabytes of tables. */
export function isTimezone(name: string): boolean {
  if (name === "UTC") return true;
  try {
    return new Hours([], name, []).timezone === name;
  } catch {
    return false;
  }
}

/** Undefined where there are no windows, which is always. */
export function hoursOf(texts: readonly string[], timezone: string): Hours | undefined {
  if (texts.length === 0) return undefined;
  return new Hours(
    texts.flatMap((text) => parseWindows(text) ?? []),
    timezone,
    texts,
  );
}
