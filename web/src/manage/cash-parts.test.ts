import { expect, test } from "vitest";
import { openDays } from "./cash-parts";

const till = (id: string, business_date: string) => ({ id, business_date });

test("tills of closed days do not wait, and the oldest day comes first", () => {
  const tills = [till("c", "2026-06-03"), till("b", "2026-06-02"), till("a", "2026-06-03")];
  const shown = openDays([...tills, till("old", "2026-06-01")], "2026-06-01");
  expect(shown.map(([day, own]) => [day, own.map((one) => one.id)])).toEqual([
    ["2026-06-02", ["b"]],
    ["2026-06-03", ["c", "a"]],
  ]);
});

test("as long as no day was closed, all of them wait", () => {
  expect(openDays([till("a", "2026-06-01")], undefined)).toHaveLength(1);
  expect(openDays([], undefined)).toEqual([]);
});
