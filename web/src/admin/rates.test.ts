import { expect, test } from "vitest";
import type { Schemas } from "../api/client";
import { errorsSince, perSecond, sumOf } from "./rates";

type Counts = Schemas["LiveCounts"];

const NONE: Counts = {
  version: "1",
  uptime_s: 10,
  showtimes: 0,
  waiting: 0,
  watchers: 0,
  requests: 0,
  errors: 0,
};

function live(second: number, nodes: Record<string, Partial<Counts> | null>): Schemas["Live"] {
  return {
    at: new Date(second * 1000).toISOString(),
    nodes: Object.entries(nodes).map(([node_id, counts]) => ({
      node_id,
      address: node_id,
      draining: false,
      counts: counts && { ...NONE, ...counts },
    })),
    minutes: [],
  };
}

test("requests a second are what all nodes have answered more", () => {
  const before = live(0, { a: { requests: 100 }, b: { requests: 10 } });
  const now = live(2, { a: { requests: 140 }, b: { requests: 30 } });
  expect(perSecond(before, now)).toBe(30);
  expect(perSecond(before, before)).toBe(0);
});

test("a node that was started anew counts from zero, one that is silent not at all", () => {
  const before = live(0, { a: { errors: 7, uptime_s: 500 }, b: { errors: 3 } });
  expect(errorsSince(before, live(1, { a: { errors: 2, uptime_s: 1 }, b: null }))).toBe(2);
});

test("watchers are summed over the nodes that answer", () => {
  expect(
    sumOf(live(0, { a: { watchers: 4 }, b: null, c: { watchers: 5 } }).nodes, "watchers"),
  ).toBe(9);
});
