import { describe, expect, test } from "vitest";
import {
  between,
  changed,
  keyOf,
  led,
  lettered,
  lettersOf,
  numbered,
  placed,
  plain,
  problemOf,
  renamed,
  stepped,
  without,
  withRow,
  withSeat,
} from "./plan";

const chosen = (...keys: string[]) => new Set(keys);
const numbers = (plan: ReturnType<typeof plain>, row: number) =>
  plan.rows[row]?.seats.map((seat) => seat.number);

describe("changes", () => {
  test("a category counts for the chosen seats alone", () => {
    const plan = changed(plain(2, 2), chosen("0/1"), { kind: "category", category: "vip" });
    const names = plan.rows.flatMap((row) => row.seats.map((seat) => seat.category));
    expect(names).toEqual(["regular", "vip", "regular", "regular"]);
  });

  test("a seat is a wheelchair space or a companion's, never both", () => {
    const one = changed(plain(1, 1), chosen("0/0"), { kind: "companion", on: true });
    const both = changed(one, chosen("0/0"), { kind: "accessible", on: true });
    expect(both.rows[0]?.seats[0]).toMatchObject({ accessible: true, companion: false });
  });

  test("seats that go leave an aisle, so that the others stay where they are", () => {
    const plan = without(plain(1, 5), chosen("0/1", "0/2"));
    expect(plan.rows[0]?.seats.map((seat) => [seat.number, seat.gap_before])).toEqual([
      [1, 0],
      [4, 2],
      [5, 0],
    ]);
    expect(placed(plan).rows[0]?.places.map((place) => place.x)).toEqual([0, 3, 4]);
  });

  test("a row whose seats all go is gone", () => {
    expect(without(plain(2, 2), chosen("0/0", "0/1")).rows.map((row) => row.label)).toEqual(["B"]);
  });

  test("a new seat has a number that no other has", () => {
    expect(numbers(withSeat(plain(1, 3), { row: 0, seat: 0 }), 0)).toEqual([1, 4, 2, 3]);
  });

  test("a new row has a label that no other has, of the same kind", () => {
    expect(withRow(plain(2, 2), 0).rows.map((row) => row.label)).toEqual(["A", "C", "B"]);
    const withNumber = renamed(plain(1, 2), 0, "12");
    expect(withRow(withNumber, 0).rows.map((row) => row.label)).toEqual(["12", "13"]);
  });

  test("rows are numbered from either side, and lettered from the screen", () => {
    expect(numbers(numbered(plain(1, 3), 0, "right"), 0)).toEqual([3, 2, 1]);
    expect(lettered(renamed(plain(2, 1), 1, "x")).rows.map((row) => row.label)).toEqual(["A", "B"]);
    expect([1, 26, 27, 703].map(lettersOf)).toEqual(["A", "Z", "AA", "AAA"]);
  });
});

describe("problems", () => {
  test("a whole plan has none", () => expect(problemOf(plain(3, 3))).toBeNull());

  test("each is found, with its row", () => {
    const two = plain(2, 2);
    expect(problemOf({ rows: [] })).toMatchObject({ code: "empty" });
    expect(problemOf(renamed(two, 1, "A"))).toEqual({ code: "twice", row: "A" });
    expect(problemOf(renamed(two, 1, "A1"))).toEqual({ code: "label", row: "A1" });
    const companion = changed(two, chosen("1/0"), { kind: "companion", on: true });
    expect(problemOf(companion)).toEqual({ code: "companion", row: "B" });
    const twice = { rows: [{ label: "A", seats: [1, 1].map(seat) }] };
    expect(problemOf(twice)).toEqual({ code: "number", row: "A" });
  });
});

function seat(number: number) {
  return { number, category: "regular" };
}

describe("keys and areas", () => {
  const plan = { rows: [plain(1, 4).rows[0], { label: "B", seats: [1, 2].map(seat) }] };
  const { rows } = placed(plan as ReturnType<typeof plain>);

  test("arrows keep the column where rows are of another width", () => {
    expect(led(rows, { row: 0, seat: 2 }, "ArrowDown")).toEqual({ row: 1, seat: 1 });
    expect(led(rows, { row: 1, seat: 0 }, "ArrowUp")).toEqual({ row: 0, seat: 1 });
    expect(led(rows, { row: 1, seat: 1 }, "ArrowDown")).toEqual({ row: 1, seat: 1 });
  });

  test("Home and End lead to the ends of a row, or of the room", () => {
    expect(led(rows, { row: 0, seat: 1 }, "End")).toEqual({ row: 0, seat: 3 });
    expect(led(rows, { row: 0, seat: 1 }, "End", true)).toEqual({ row: 1, seat: 1 });
    expect(led(rows, { row: 1, seat: 1 }, "x")).toBeNull();
  });

  test("an area is what stands between two seats, whatever their index", () => {
    const area = between(rows, { row: 0, seat: 1 }, { row: 1, seat: 1 });
    expect(area).toEqual(["0/1", "0/2", "1/0", "1/1"]);
    expect(keyOf({ row: 1, seat: 0 })).toBe("1/0");
  });
});

test("steps are taken back and taken again, until something else is done", () => {
  const [first, second, third] = [plain(1, 1), plain(1, 2), plain(1, 3)];
  let history = { past: [], plan: first, future: [] } as Parameters<typeof stepped>[0];
  history = stepped(history, { kind: "change", plan: second });
  history = stepped(history, { kind: "undo" });
  expect(history.plan).toBe(first);
  expect(stepped(history, { kind: "undo" })).toBe(history);
  history = stepped(history, { kind: "redo" });
  expect(history.plan).toBe(second);
  history = stepped(stepped(history, { kind: "undo" }), { kind: "change", plan: third });
  expect(stepped(history, { kind: "redo" }).plan).toBe(third);
});
