import { expect, test } from "vitest";
import {
  dayAfter,
  hoursOf,
  instantAt,
  instantOf,
  inTheWay,
  minutesOf,
  movedBy,
  snapped,
  timeIn,
} from "./timetable-parts";

const at = (time: string) => `2026-06-04T${time}:00Z`;
const show = (id: string, screen_id: string, from: string, until: string) => ({
  id,
  screen_id,
  starts_at: at(from),
  ends_at: at(until),
});

test("a day and a time are a moment in the cinema's zone", () => {
  const moment = (day: string, time: string) =>
    new Date(instantOf("Europe/Berlin", day, time)).toISOString();
  expect(moment("2026-06-04", "20:15")).toBe("2026-06-04T18:15:00.000Z");
  expect(moment("2026-12-04", "00:00")).toBe("2026-12-03T23:00:00.000Z");
  // The clock goes from 2 to 3 in spring, and from 3 to 2 in autumn.
  expect(moment("2026-03-29", "02:30")).toBe("2026-03-29T01:30:00.000Z");
  expect(moment("2026-10-25", "02:30")).toBe("2026-10-25T00:30:00.000Z");
  expect(timeIn("Europe/Berlin", Date.parse("2026-06-04T18:15:00Z"))).toBe("20:15");
  expect(timeIn("Europe/Berlin", Date.parse("2026-06-04T22:00:00Z"))).toBe("00:00");
});

test("a day alone begins at midnight, and a time alone is one of today", () => {
  const moment = (date: string, time: string) => {
    const at = instantAt("Europe/Berlin", { date, time }, "2026-06-04");
    return at === null ? null : new Date(at).toISOString();
  };
  expect(moment("2026-06-09", "20:15")).toBe("2026-06-09T18:15:00.000Z");
  expect(moment("2026-06-09", "")).toBe("2026-06-08T22:00:00.000Z");
  expect(moment("", "20:15")).toBe("2026-06-04T18:15:00.000Z");
  expect(moment("", "")).toBeNull();
});

test("hours reach from ten, or the first showtime, until all have ended", () => {
  const midnight = Date.parse(at("00:00"));
  expect(hoursOf(midnight, [])).toEqual({ from: 600, until: 1440 });
  const late = { ...show("1", "a", "09:10", "11:00"), ends_at: "2026-06-05T00:50:00Z" };
  expect(hoursOf(midnight, [late])).toEqual({ from: 540, until: 1560 });
  expect(minutesOf(midnight, late)).toEqual({ from: 550, until: 1490 });
});

test("what leaves no time to clean is in the way, on the same screen alone", () => {
  const first = show("1", "a", "18:00", "20:00");
  const soon = show("2", "a", "20:10", "22:00");
  const elsewhere = show("3", "b", "19:00", "21:00");
  const all = [first, soon, elsewhere];
  expect(inTheWay(first, all, 15)).toEqual([soon]);
  expect(inTheWay(soon, all, 15)).toEqual([first]);
  expect(inTheWay(first, all, 10)).toEqual([]);
  expect(inTheWay(movedBy(first, 0, "b"), all, 15)).toEqual([elsewhere]);
});

test("a showtime keeps its length when it moves, in steps of five minutes", () => {
  expect(movedBy(show("1", "a", "18:00", "20:00"), -25, "b")).toEqual({
    id: "1",
    screen_id: "b",
    starts_at: "2026-06-04T17:35:00.000Z",
    ends_at: "2026-06-04T19:35:00.000Z",
  });
  expect([12, 13, -2].map(snapped)).toEqual([10, 15, 0]);
  expect(dayAfter("2026-12-31", 1)).toBe("2027-01-01");
  expect(dayAfter("2026-03-01", -1)).toBe("2026-02-28");
});
