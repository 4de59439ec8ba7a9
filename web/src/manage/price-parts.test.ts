import { expect, test } from "vitest";
import { daysOf, inOrder, ruleOf, signedOf, Unreadable } from "./price-parts";

test("amounts may be negative, with a comma or a point", () => {
  expect(signedOf("-12,5", "EUR")).toBe(-1250);
  expect(signedOf("−1.50", "EUR")).toBe(-150);
  expect(signedOf("+3", "JPY")).toBe(3);
  expect(signedOf("--3", "EUR")).toBeNull();
  expect(signedOf("much", "EUR")).toBeNull();
});

test("days are lines of one or two dates", () => {
  expect(daysOf("2026-12-24\n\n2026-12-25 – 2026-12-26 ")).toEqual([
    { first: "2026-12-24", last: "2026-12-24" },
    { first: "2026-12-25", last: "2026-12-26" },
  ]);
  expect(() => daysOf("Christmas")).toThrow(Unreadable);
});

test("what is left empty is not asked for", () => {
  const fields = { name: " Matinee ", group: "time", kind: "percent", value: "-20" };
  expect(ruleOf({ ...fields, "weekday 6": "on", "weekday 7": "on" }, "EUR")).toEqual({
    name: "Matinee",
    group: "time",
    priority: 100,
    effect: { kind: "percent", value: -2000 },
    when: {
      weekdays: [6, 7],
      starts_from: null,
      starts_until: null,
      days: [],
      hours_before_min: null,
      hours_before_max: null,
      taken_min: null,
      taken_max: null,
      formats: [],
      categories: [],
      ticket_types: [],
      movie_ids: [],
    },
  });
});

test("a zero counts, and a price is not negative", () => {
  const fields = { name: "Full", group: "demand", kind: "price", value: "9", taken_min: "0" };
  expect(ruleOf(fields, "EUR").when?.taken_min).toBe(0);
  expect(() => ruleOf({ ...fields, value: "-9" }, "EUR")).toThrow(Unreadable);
});

test("rules stand as they are asked: by group, then by priority", () => {
  const rule = (id: string, group: "time" | "demand" | "type", priority: number) => ({
    ...{ id, group, priority, cinema_id: "", name: id, when: {} },
    effect: { kind: "percent" as const, value: 0 },
  });
  const all = [rule("a", "type", 1), rule("b", "time", 9), rule("c", "time", 2)];
  expect(inOrder(all).map((one) => one.id)).toEqual(["c", "b", "a"]);
});
