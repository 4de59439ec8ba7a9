import { expect, test } from "vitest";
import { partsOf } from "./parts";

const euros = (amount: number) => ({ amount, currency: "EUR" });

test("points go first, then the card, and the rest is paid", () => {
  expect(partsOf(2500, euros(300), euros(1000))).toEqual({ points: 300, card: 1000, rest: 1200 });
});

test("no more is used than there is to pay", () => {
  expect(partsOf(2500, euros(9000), euros(1000))).toEqual({ points: 2500, card: 0, rest: 0 });
  expect(partsOf(2500, undefined, euros(9000))).toEqual({ points: 0, card: 2500, rest: 0 });
});

test("without either all is left", () => {
  expect(partsOf(2500)).toEqual({ points: 0, card: 0, rest: 2500 });
});
