import { expect, test } from "vitest";
import type { ShownSeat } from "../seats/grid";
import { SeatStore } from "../seats/store";
import { idsIn, newsOf, SHOWS_MOST, together } from "./together";

function seat(label: string, status: ShownSeat["status"], amount = 1000): ShownSeat {
  const price = { amount, currency: "EUR" };
  return { label, row: label[0] ?? "", number: 1, category: "regular", status, price };
}

test("a seat is free if it is free at each, and costs what it costs at all of them", () => {
  const maps = [
    [seat("A1", "available"), seat("A2", "available"), seat("A3", "held"), seat("A4", "booked")],
    [seat("A1", "available", 1200), seat("A2", "booked"), seat("A3", "booked"), seat("B1", "held")],
  ];
  const seen = together(maps).map((one) => [one.label, one.status, one.price.amount]);
  expect(seen).toEqual([
    ["A1", "available", 2200],
    ["A2", "booked", 2000],
    ["A3", "booked", 2000],
  ]);
});

test("seats of one's own at one showtime are not free for the series", () => {
  const mine = { ...seat("A1", "held"), mine: true };
  const [only] = together([[mine], [seat("A1", "available")]]);
  expect(only).toEqual({ ...seat("A1", "held"), price: { amount: 2000, currency: "EUR" } });
});

test("a chosen seat that is taken at one of the showtimes is lost", () => {
  const free = together([[seat("A1", "available")], [seat("A1", "available")]]);
  const store = new SeatStore(free, 0, 0);
  store.toggle("A1");
  store.apply(newsOf(free));
  expect(store.seen().chosen).toEqual(["A1"]);
  store.apply(newsOf(together([[seat("A1", "available")], [seat("A1", "booked")]])));
  expect([store.seen().chosen, store.seen().lost]).toEqual([[], ["A1"]]);
});

test("an address names each showtime once, and no more than there may be", () => {
  expect(idsIn("a,b,,a")).toEqual(["a", "b"]);
  expect(idsIn(undefined)).toEqual([]);
  expect(idsIn(Array.from({ length: 30 }, (_, n) => n).join())).toHaveLength(SHOWS_MOST);
});
