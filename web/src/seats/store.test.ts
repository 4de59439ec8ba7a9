import { expect, test, vi } from "vitest";
import type { ShownSeat } from "./grid";
import { type Frame, SeatStore } from "./store";

function seats(...labels: string[]): ShownSeat[] {
  return labels.map((label, index) => ({
    label,
    row: "A",
    number: index + 1,
    category: "regular",
    status: "available",
    price: { amount: 1000, currency: "EUR" },
  }));
}

function delta(prev_seq: number, seq: number, changes: Frame["changes"]): Frame {
  return { type: "delta", epoch: 1, prev_seq, seq, layout_version: 1, taken: {}, changes };
}

test("a seat that somebody else takes is no longer chosen, and is told of", () => {
  const store = new SeatStore(seats("A1", "A2"), 1, 5);
  store.toggle("A1");
  store.toggle("A2");
  expect(store.apply(delta(5, 6, { A1: "held" }))).toBe(true);
  expect(store.seen().chosen).toEqual(["A2"]);
  expect(store.seen().lost).toEqual(["A1"]);
  expect(store.lookOf("A1")).toBe("held");
});

test("a taken seat cannot be chosen", () => {
  const store = new SeatStore(seats("A1"), 1, 5);
  store.apply(delta(5, 6, { A1: "booked" }));
  expect(store.toggle("A1")).toBe(false);
  expect(store.seen().chosen).toEqual([]);
});

test("after a gap nothing is applied, and a snapshot makes all of it right", () => {
  const store = new SeatStore(seats("A1", "A2"), 1, 5);
  expect(store.apply(delta(7, 8, { A1: "held" }))).toBe(false);
  expect(store.lookOf("A1")).toBe("available");
  const taken = { A2: "booked" } as const;
  store.apply({ ...delta(0, 9, {}), type: "snapshot", epoch: 2, taken });
  expect([store.lookOf("A1"), store.lookOf("A2")]).toEqual(["available", "booked"]);
  expect(store.since()).toBe("2:9");
});

test("only the seats that changed hear of it", () => {
  const store = new SeatStore(seats("A1", "A2"), 1, 5);
  const heard: string[] = [];
  for (const label of ["A1", "A2"]) store.watchSeat(label, () => heard.push(label));
  store.apply(delta(5, 6, { A2: "held" }));
  expect(heard).toEqual(["A2"]);
});

test("seats that are being held for us are not lost when the socket is faster than the answer", () => {
  const store = new SeatStore(seats("A1"), 1, 5);
  store.toggle("A1");
  store.ask(["A1"]);
  store.apply(delta(5, 6, { A1: "held" }));
  expect(store.seen().lost).toEqual([]);
  store.granted(["A1"]);
  expect([store.lookOf("A1"), store.seen().chosen]).toEqual(["mine", []]);
});

test("seats that were found for us stand in for those that were chosen", () => {
  const store = new SeatStore(seats("A1", "A2"), 1, 5);
  store.toggle("A1");
  store.ask([]);
  store.granted(["A2"]);
  expect(store.seen()).toMatchObject({ chosen: [], lost: [] });
  store.apply(delta(5, 6, { A2: "held" }));
  expect([store.lookOf("A1"), store.lookOf("A2")]).toEqual(["available", "mine"]);
});

test("seats that were refused to us and are taken are lost", () => {
  const store = new SeatStore(seats("A1", "A2"), 1, 5);
  store.choose(["A1", "A2"]);
  store.ask(["A1", "A2"]);
  store.apply(delta(5, 6, { A1: "held" }));
  store.refused();
  expect(store.seen()).toMatchObject({ chosen: ["A2"], lost: ["A1"] });
});

test("it is sold out as long as nobody can choose a seat", () => {
  const store = new SeatStore(seats("A1", "A2"), 1, 5);
  store.apply(delta(5, 6, { A1: "held" }));
  expect(store.seen().isSoldOut).toBe(false);
  store.apply(delta(6, 7, { A2: "booked" }));
  expect(store.seen().isSoldOut).toBe(true);
  store.apply(delta(7, 8, { A1: "booked" }));
  expect(store.seen().isSoldOut).toBe(true);
  store.apply(delta(8, 9, { A1: "available" }));
  expect(store.seen().isSoldOut).toBe(false);
});

test("changes that follow each other at once are told as one group", () => {
  vi.useFakeTimers();
  const store = new SeatStore(seats("A1", "A2"), 1, 5);
  const heard: string[] = [];
  for (const label of ["A1", "A2"]) store.watchSeat(label, () => heard.push(label));
  store.apply(delta(5, 6, { A1: "held" }));
  expect(heard).toEqual(["A1"]);
  store.apply(delta(6, 7, { A2: "held" }));
  store.apply(delta(7, 8, { A1: "available" }));
  store.apply(delta(8, 9, { A1: "booked" }));
  expect(heard).toEqual(["A1"]);
  vi.runAllTimers();
  expect(heard).toEqual(["A1", "A2", "A1"]);
  expect(store.lookOf("A1")).toBe("booked");
  vi.useRealTimers();
});

test("who touches a seat that went in this moment sees it at once", () => {
  const store = new SeatStore(seats("A1", "A2"), 1, 5);
  const heard: string[] = [];
  store.watchSeat("A2", () => heard.push("A2"));
  store.apply(delta(5, 6, { A1: "held" }));
  store.apply(delta(6, 7, { A2: "held" }));
  expect(store.toggle("A2")).toBe(false);
  expect(heard).toEqual(["A2"]);
});
