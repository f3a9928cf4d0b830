import type { UnixMillis } from "../../shared/brand.ts";

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const WEEK = 7 * DAY;
/** 1970-01-01 was a Thursday; weeks here begin on Monday. */
const EPOCH_IN_WEEK = 3 * DAY;

/** A time of the week, in minutes since Monday 00:00. `end` is exclusive, at most a week after `start`. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

/** When something is allowed: windows of the week, by the clock on the wall of one time zone. */
export class Hours {
  readonly windows: readonly Window[];
  readonly timezone: string;
  /** What the windows were written as, for showing them again. */
  readonly texts: readonly string[];
  readonly #format: Intl.DateTimeFormat;

  /** `timezone` is a name of the IANA database; one that is not known throws RangeError. */
  constructor(windows: readonly Window[], timezone: string, texts: readonly string[]) {
    this.windows = windows;
    this.timezone = timezone;
    this.texts = texts;
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone: timezone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  }

  /** When the window that `now` is in ends, by the latest of them; undefined = `now` is in none. */
  endsAt(now: UnixMillis): UnixMillis | undefined {
    const wall = this.#wall(now);
    const inWeek = (wall + EPOCH_IN_WEEK) % WEEK;
    const left = this.windows.map(({ start, end }) => {
      const since = (inWeek - start * MINUTE + WEEK) % WEEK;
      return (end - start) * MINUTE - since;
    });
    const most = Math.max(0, ...left);
    if (most === 0) return undefined;
    const end = now + most;
    // Where clocks are changed in between, the wall says another time then.
    return (end - (this.#wall(end) - end - (wall - now))) as UnixMillis;
  }

  /** The wall's clock as if it were UTC, in ms. */
  #wall(at: number): number {
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(at)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) + (at % 1000);
  }
}
