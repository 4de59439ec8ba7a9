import { expect, test } from "vitest";
import { groupOf, lengths, REPORTS, reportsOf, reportWish } from "./parts";

test("a report is grouped as it is wished, if it can be", () => {
  expect(groupOf("revenue", "method")).toBe("method");
  expect(groupOf("capacity", "method")).toBe("date");
  expect(groupOf("popular", "date")).toBeUndefined();
});

test("experiments are for admins", () => {
  expect(reportsOf("admin")).toEqual(REPORTS);
  expect(reportsOf("manager")).toEqual(REPORTS.filter((one) => one !== "recommendations"));
});

test("what is no wish in an address is left out", () => {
  const asked = { report: "gossip", from: "yesterday", to: "2026-11-30", cinema: 7, by: "hour" };
  expect(reportWish(asked)).toEqual({
    report: undefined,
    from: undefined,
    to: "2026-11-30",
    cinema: undefined,
    by: "hour",
  });
});

test("bars are as long as their part of the longest one in the same currency", () => {
  const rows = [
    { size: 200, currency: "EUR" },
    { size: 50, currency: "EUR" },
    { size: -10, currency: "EUR" },
    { size: 9000, currency: "JPY" },
  ];
  expect(lengths(rows)).toEqual([100, 25, 0, 100]);
  expect(lengths([{ size: 0 }])).toEqual([0]);
});
