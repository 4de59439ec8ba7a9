/** Seat maps of several showtimes as one: a seat is free if it is free at each. Pure. */
import type { Schemas } from "../api/client";
import { sum } from "../format";
import type { ShownSeat } from "../seats/grid";
import type { Frame, Status } from "../seats/store";

export const SHOWS_LEAST = 2;
export const SHOWS_MOST = 20;

const WORST_FIRST: Status[] = ["blocked", "booked", "held"];

/** Seats that all of them have, for what they cost together. */
export function together(maps: readonly (readonly ShownSeat[])[]): ShownSeat[] {
  const [first = [], ...rest] = maps;
  const others = rest.map((seats) => new Map(seats.map((seat) => [seat.label, seat])));
  return first.flatMap(({ mine: _, ...seat }) => {
    const all = [seat, ...others.flatMap((map) => map.get(seat.label) ?? [])];
    const price = sum(all.map((one) => one.price));
    if (all.length < maps.length || price === null) return [];
    const statuses = all.map((one) => one.status);
    const status = WORST_FIRST.find((one) => statuses.includes(one)) ?? "available";
    return [{ ...seat, price, status }];
  });
}

/** What the store of a map takes for news. */
export function newsOf(seats: readonly ShownSeat[]): Frame {
  const taken = seats.filter((seat) => seat.status !== "available");
  return {
    type: "snapshot",
    epoch: 0,
    seq: 0,
    prev_seq: 0,
    layout_version: 0,
    taken: Object.fromEntries(taken.map((seat) => [seat.label, seat.status])),
    changes: {},
  };
}

/** The ids in an address, each once and no more than a series may have. */
export function idsIn(text: string | undefined): string[] {
  return [...new Set((text ?? "").split(",").filter(Boolean))].slice(0, SHOWS_MOST);
}

/** Screens that have so many showtimes that there can be a series. */
export function screensFor(showtimes: readonly Schemas["Showtime"][]): Set<string> {
  const counts = new Map<string, number>();
  for (const { screen_id } of showtimes) counts.set(screen_id, (counts.get(screen_id) ?? 0) + 1);
  return new Set([...counts].flatMap(([id, n]) => (n >= SHOWS_LEAST ? [id] : [])));
}
