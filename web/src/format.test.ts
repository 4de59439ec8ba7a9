import { expect, test } from "vitest";
import { dayIn, listOf, minorOf, minutesAndSeconds, money, secondsUntil, sum } from "./format";

test("minor units have as many digits as their currency", () => {
  expect(money({ amount: 1250, currency: "EUR" }, "en")).toBe("€12.50");
  expect(money({ amount: 1250, currency: "JPY" }, "en")).toBe("¥1,250");
  expect(money({ amount: 1250, currency: "EUR" }, "de")).toBe("12,50\u00a0€");
});

test("a late showtime belongs to the day of its cinema", () => {
  const at = "2026-12-05T03:30:00Z";
  expect(dayIn("America/New_York", at)).toBe("2026-12-04");
  expect(dayIn("Europe/Berlin", at)).toBe("2026-12-05");
});

test("a countdown ends at nothing", () => {
  const at = "2026-12-05T12:00:00Z";
  expect(secondsUntil(at, Date.parse(at) - 61_500)).toBe(62);
  expect(secondsUntil(at, Date.parse(at) + 5_000)).toBe(0);
  expect(minutesAndSeconds(62)).toBe("1:02");
});

test("prices are added in their currency", () => {
  const price = { amount: 1050, currency: "EUR" };
  expect(sum([price, price])).toEqual({ amount: 2100, currency: "EUR" });
  expect(sum([])).toBeNull();
});

test("an amount is read as people type it, and nothing else is", () => {
  const typed = ["12", "12.5", "12,50", " 0.05 ", "12.", "-1", "1e3", "12.505", "", "1.2.3"];
  const read = [1200, 1250, 1250, 5, 1200, null, null, null, null, null];
  expect(typed.map((text) => minorOf(text, "EUR"))).toEqual(read);
  expect(minorOf("1250", "JPY")).toBe(1250);
  expect(minorOf("12.5", "JPY")).toBeNull();
  expect(minorOf("1.25", "KWD")).toBe(1250);
});

test("lists are what stands between commas, each once", () => {
  expect(listOf(" Drama,, Comedy , Drama")).toEqual(["Drama", "Comedy"]);
  expect(listOf(undefined)).toEqual([]);
});
