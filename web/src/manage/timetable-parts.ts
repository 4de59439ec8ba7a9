/** Times and places of a day's showtimes. Minutes count from midnight at the cinema. Pure. */
import { dayIn } from "../format";

export const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
const HOUR_MINUTES = 60;
const USUAL_FIRST = 10 * HOUR_MINUTES;
/** Showtimes are moved by so many minutes. */
export const STEP_MINUTES = 5;
export const FAR_MINUTES = 30;

/** What a clock and a calendar in a zone show, as if it were UTC. */
function shownIn(zone: string, atMs: number): number {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).formatToParts(new Date(atMs));
  const part = (type: string) => Number(parts.find((one) => one.type === type)?.value);
  return Date.UTC(
    part("year"),
    part("month") - 1,
    part("day"),
    part("hour"),
    part("minute"),
    part("second"),
  );
}

/**
 * The moment of a day and a time on the clock of a zone. A time that the clock skips in spring is
 * one hour later, and of one that comes twice in autumn it is the first.
 */
export function instantOf(zone: string, day: string, time: string): number {
  const wanted = Date.parse(`${day}T${time}:00Z`);
  const offsets = [-DAY_MINUTES, DAY_MINUTES].map((minutes) => {
    const near = wanted + minutes * MINUTE_MS;
    return shownIn(zone, near) - near;
  });
  const found = offsets.map((offset) => wanted - offset);
  const right = found.filter((at) => shownIn(zone, at) === wanted);
  return right.length > 0 ? Math.min(...right) : Math.max(...found);
}

/** What two fields say that may be empty: without a time that day from its beginning, without a day `today`. */
export function instantAt(zone: string, fields: Partial<Record<string, string>>, today: string) {
  const { date, time } = fields;
  return date || time ? instantOf(zone, date || today, time || "00:00") : null;
}

/** The time on the clock of a zone, as `18:05`. */
export function timeIn(zone: string, atMs: number): string {
  return new Date(shownIn(zone, atMs)).toISOString().slice(11, 16);
}

export interface Span {
  id: string;
  screen_id: string;
  starts_at: string;
  ends_at: string;
}

export interface Placed {
  from: number;
  until: number;
}

export function minutesOf(midnightMs: number, span: Pick<Span, "starts_at" | "ends_at">): Placed {
  return {
    from: (Date.parse(span.starts_at) - midnightMs) / MINUTE_MS,
    until: (Date.parse(span.ends_at) - midnightMs) / MINUTE_MS,
  };
}

/** Which hours are shown: from ten, or before the first showtime, until all have ended. */
export function hoursOf(midnightMs: number, spans: readonly Span[]): Placed {
  const all = spans.map((span) => minutesOf(midnightMs, span));
  const first = Math.min(USUAL_FIRST, ...all.map((one) => one.from));
  const last = Math.max(DAY_MINUTES, ...all.map((one) => one.until + FAR_MINUTES));
  return {
    from: Math.floor(first / HOUR_MINUTES) * HOUR_MINUTES,
    until: Math.ceil(last / HOUR_MINUTES) * HOUR_MINUTES,
  };
}

/** The other showtimes on its screen that leave no time to clean in between. */
export function inTheWay<T extends Span>(
  one: Span,
  others: readonly T[],
  cleaningMinutes: number,
): T[] {
  const cleaning = cleaningMinutes * MINUTE_MS;
  const [from, until] = [Date.parse(one.starts_at), Date.parse(one.ends_at)];
  return others.filter(
    (other) =>
      other.id !== one.id &&
      other.screen_id === one.screen_id &&
      from < Date.parse(other.ends_at) + cleaning &&
      Date.parse(other.starts_at) < until + cleaning,
  );
}

/** A showtime that begins so many minutes later, maybe on another screen. */
export function movedBy<T extends Span>(span: T, minutes: number, screenId: string): T {
  const by = minutes * MINUTE_MS;
  return {
    ...span,
    screen_id: screenId,
    starts_at: new Date(Date.parse(span.starts_at) + by).toISOString(),
    ends_at: new Date(Date.parse(span.ends_at) + by).toISOString(),
  };
}

export function snapped(minutes: number): number {
  // Minus nothing is nothing.
  return Math.round(minutes / STEP_MINUTES) * STEP_MINUTES + 0;
}

/** A day of the calendar so many days later. */
export function dayAfter(day: string, days: number): string {
  return dayIn("UTC", Date.parse(`${day}T12:00:00Z`) + days * DAY_MINUTES * MINUTE_MS);
}
