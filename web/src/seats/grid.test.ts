import { describe, expect, test } from "vitest";
import { areApart, gridOf, move, type ShownSeat } from "./grid";

function seat(row: string, number: number): ShownSeat {
  const price = { amount: 1000, currency: "EUR" };
  const label = `${row}${number}`;
  return { label, row, number, category: "regular", status: "available", price };
}

/** Row A has an aisle of two seats after its second seat; row B has none. */
const SEATS = [
  ...[1, 2, 3, 4].map((n) => seat("A", n)),
  ...[1, 2, 3, 4, 5, 6].map((n) => seat("B", n)),
];
const LAYOUT = {
  rows: [
    {
      label: "A",
      seats: [1, 2, 3, 4].map((number) => ({
        number,
        category: "regular",
        gap_before: number === 3 ? 2 : 0,
      })),
    },
    { label: "B", seats: [1, 2, 3, 4, 5, 6].map((number) => ({ number, category: "regular" })) },
  ],
};
const GRID = gridOf(SEATS, LAYOUT);

describe("the keys of the map", () => {
  test.each([
    ["A1", "ArrowRight", "A2"],
    ["A2", "ArrowRight", "A3"],
    ["A1", "ArrowLeft", "A1"],
    ["A4", "ArrowRight", "A4"],
    ["A1", "ArrowUp", "A1"],
    ["B6", "ArrowDown", "B6"],
    ["A3", "Home", "A1"],
    ["B2", "End", "B6"],
  ])("%s and %s lead to %s", (from, key, to) => expect(move(GRID, from, key)).toBe(to));

  test("up and down keep the column across an aisle", () => {
    expect(move(GRID, "A3", "ArrowDown")).toBe("B5");
    expect(move(GRID, "B5", "ArrowUp")).toBe("A3");
  });

  test("with control, Home and End lead to the corners of the room", () => {
    expect(move(GRID, "B3", "Home", true)).toBe("A1");
    expect(move(GRID, "A2", "End", true)).toBe("B6");
  });

  test("other keys are left to the browser", () => expect(move(GRID, "A1", "Tab")).toBeNull());
});

describe("seats that are apart", () => {
  test.each([
    [["B1", "B2", "B3"], false],
    [["B3", "B1", "B2"], false],
    [["B1", "B3"], true],
    [["A1", "B1"], true],
    [["B1"], false],
  ])("%j: %s", (labels, apart) => expect(areApart(GRID, labels)).toBe(apart));
});
