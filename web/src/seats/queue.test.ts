import { expect, test } from "vitest";
import { placeIn, queueAddress } from "./queue";

test("a place is read from the address, and nothing else is taken for one", () => {
  expect(placeIn("#place=abc&secret=s")).toEqual({ token: "abc", secret: "s" });
  expect(placeIn("#place=abc")).toEqual({ token: "abc", secret: "" });
  expect(placeIn("#token=abc")).toBeNull();
  expect(placeIn("")).toBeNull();
});

test("who needs a place is led to the waiting room of the showtime", () => {
  expect(queueAddress("a/b")).toBe("/queue.html?showtime=a%2Fb");
});
