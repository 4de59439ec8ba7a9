import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AT_ONCE, EventQueue, type PageEvent } from "./queue";

let sent: PageEvent[][];
let queue: EventQueue;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  queue = new EventQueue((events) => sent.push(events));
});

afterEach(() => {
  vi.useRealTimers();
});

const click = (movie_id: string): PageEvent => ({ kind: "click", movie_id });

test("what happens within a pause is sent together, once", () => {
  queue.note(click("a"));
  queue.note(click("b"));
  expect(sent).toEqual([]);
  vi.runAllTimers();
  expect(sent).toEqual([[click("a"), click("b")]]);
  vi.runAllTimers();
  queue.flush();
  expect(sent).toHaveLength(1);
  queue.note(click("c"));
  vi.runAllTimers();
  expect(sent).toEqual([[click("a"), click("b")], [click("c")]]);
});

test("no more is sent at once than the server takes", () => {
  for (let n = 0; n < AT_ONCE + 1; n += 1) queue.note(click(String(n)));
  expect(sent.map((events) => events.length)).toEqual([AT_ONCE]);
  vi.runAllTimers();
  expect(sent.map((events) => events.length)).toEqual([AT_ONCE, 1]);
});

test("a film is seen once, and clicked as often as it is", () => {
  const shown: PageEvent = { kind: "impression", movie_id: "a", exposure_id: "x" };
  queue.note(shown);
  queue.note(shown);
  queue.note({ ...shown, kind: "click" });
  queue.note({ ...shown, kind: "click" });
  vi.runAllTimers();
  queue.note(shown);
  vi.runAllTimers();
  expect(sent.flat().map((one) => one.kind)).toEqual(["impression", "click", "click"]);
});

test("a page that is left does not wait", () => {
  queue.note(click("a"));
  queue.flush();
  expect(sent).toEqual([[click("a")]]);
});
