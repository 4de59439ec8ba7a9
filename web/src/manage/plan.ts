/** A screen's seats while somebody draws them: every change makes another plan. Pure. */
import type { Schemas } from "../api/client";

export type Layout = Schemas["Layout"];
type Seat = Schemas["LayoutSeat"];
type Row = Schemas["LayoutRow"];

export const ROWS_MOST = 1000;
export const SEATS_MOST = 999;
export const AISLE_MOST = 50;
export const CATEGORIES = ["regular", "premium", "vip"] as const;

/** A seat of a plan: which row, and which one in it, from 0. */
export interface At {
  row: number;
  seat: number;
}

export type Chosen = ReadonlySet<string>;

export function keyOf({ row, seat }: At): string {
  return `${row}/${seat}`;
}

export function atOf(key: string): At {
  const [row = 0, seat = 0] = key.split("/").map(Number);
  return { row, seat };
}

export type Change =
  | { kind: "category"; category: string }
  | { kind: "accessible"; on: boolean }
  | { kind: "companion"; on: boolean }
  | { kind: "aisle"; width: number };

/** The chosen seats with something else. */
export function changed(plan: Layout, chosen: Chosen, change: Change): Layout {
  return mapSeats(plan, chosen, (seat) => {
    switch (change.kind) {
      case "category":
        return { ...seat, category: change.category };
      case "accessible":
        return { ...seat, accessible: change.on, ...(change.on && { companion: false }) };
      case "companion":
        return { ...seat, companion: change.on, ...(change.on && { accessible: false }) };
      case "aisle":
        return { ...seat, gap_before: change.width };
    }
  });
}

function mapSeats(plan: Layout, chosen: Chosen, change: (seat: Seat) => Seat): Layout {
  const rows = plan.rows.map((row, at) => ({
    ...row,
    seats: row.seats.map((seat, index) =>
      chosen.has(keyOf({ row: at, seat: index })) ? change(seat) : seat,
    ),
  }));
  return { ...plan, rows };
}

/** Without the chosen seats; what is behind keeps its place, and a row without seats goes. */
export function without(plan: Layout, chosen: Chosen): Layout {
  const rows = plan.rows.flatMap((row, at) => {
    const seats: Seat[] = [];
    let left = 0;
    row.seats.forEach((seat, index) => {
      if (chosen.has(keyOf({ row: at, seat: index }))) left += (seat.gap_before ?? 0) + 1;
      else {
        const gap_before = Math.min(AISLE_MOST, (seat.gap_before ?? 0) + left);
        seats.push({ ...seat, gap_before });
        left = 0;
      }
    });
    return seats.length === 0 ? [] : [{ ...row, seats }];
  });
  return { ...plan, rows };
}

/** Another seat on the right of one, like it; the first free number behind. */
export function withSeat(plan: Layout, at: At): Layout {
  return mapRow(plan, at.row, (row) => {
    const like = row.seats[at.seat];
    if (like === undefined || row.seats.length >= SEATS_MOST) return row;
    const used = new Set(row.seats.map((seat) => seat.number));
    let number = like.number;
    while (used.has(number) && number < SEATS_MOST) number += 1;
    if (used.has(number)) return row;
    const added = { number, category: like.category };
    return { ...row, seats: row.seats.toSpliced(at.seat + 1, 0, added) };
  });
}

/** A row like this one behind it. */
export function withRow(plan: Layout, at: number): Layout {
  const like = plan.rows[at];
  if (like === undefined || plan.rows.length >= ROWS_MOST) return plan;
  const label = freeLabel(plan, like.label);
  const seats = like.seats.map(({ number, category, gap_before }) => ({
    number,
    category,
    gap_before,
  }));
  return { ...plan, rows: plan.rows.toSpliced(at + 1, 0, { label, seats }) };
}

export function withoutRow(plan: Layout, at: number): Layout {
  return { ...plan, rows: plan.rows.toSpliced(at, 1) };
}

export function renamed(plan: Layout, at: number, label: string): Layout {
  return mapRow(plan, at, (row) => ({ ...row, label: label.trim().toUpperCase() }));
}

/** The seats of a row by their place: 1, 2, 3 from one side. */
export function numbered(plan: Layout, at: number, from: "left" | "right"): Layout {
  return mapRow(plan, at, (row) => ({
    ...row,
    seats: row.seats.map((seat, index) => ({
      ...seat,
      number: from === "left" ? index + 1 : row.seats.length - index,
    })),
  }));
}

/** All rows A, B, C from the screen backwards. */
export function lettered(plan: Layout): Layout {
  return { ...plan, rows: plan.rows.map((row, at) => ({ ...row, label: lettersOf(at + 1) })) };
}

function mapRow(plan: Layout, at: number, change: (row: Row) => Row): Layout {
  return { ...plan, rows: plan.rows.map((row, index) => (index === at ? change(row) : row)) };
}

/** A number in letters: 1 is A, 26 is Z, 27 is AA. */
export function lettersOf(number: number): string {
  let letters = "";
  for (let rest = number; rest > 0; rest = Math.floor((rest - 1) / 26))
    letters = String.fromCharCode(65 + ((rest - 1) % 26)) + letters;
  return letters;
}

/** The first label of the same kind that no row has. */
function freeLabel(plan: Layout, like: string): string {
  const used = new Set(plan.rows.map((row) => row.label));
  const isNumber = /^\d/.test(like);
  for (let n = isNumber ? Number(like) : 1; ; n += 1) {
    const label = isNumber ? String(n) : lettersOf(n);
    if (!used.has(label)) return label;
  }
}

/** What is said on a seat: a letter in a row with a number. */
export function nameIn(row: Row, seat: Seat): string {
  return /^\d/.test(row.label) ? lettersOf(seat.number) : String(seat.number);
}

/** What the server would refuse, at its first place; null if there is nothing. */
export function problemOf(
  plan: Layout,
): { code: "empty" | "label" | "twice" | "number" | "companion"; row: string } | null {
  if (plan.rows.length === 0) return { code: "empty", row: "" };
  const labels = new Set<string>();
  for (const { label, seats } of plan.rows) {
    if (!/^([A-Z]{1,3}|[1-9][0-9]{0,2})$/.test(label)) return { code: "label", row: label };
    if (labels.has(label)) return { code: "twice", row: label };
    labels.add(label);
    if (new Set(seats.map((seat) => seat.number)).size < seats.length)
      return { code: "number", row: label };
    if (seats.some((seat) => seat.companion) && !seats.some((seat) => seat.accessible))
      return { code: "companion", row: label };
  }
  return null;
}

export interface Place {
  x: number;
  seat: Seat;
}

export interface PlacedRow {
  label: string;
  places: Place[];
}

/** Where seats are, in seat widths: rows are centred, aisles take their width. */
export function placed(plan: Layout): { rows: PlacedRow[]; width: number } {
  const measured = plan.rows.map((row) => {
    let x = 0;
    const places = row.seats.map((seat) => {
      x += seat.gap_before ?? 0;
      const place = { x, seat };
      x += 1;
      return place;
    });
    return { label: row.label, places, width: x };
  });
  const width = Math.max(1, ...measured.map((row) => row.width));
  const rows = measured.map(({ label, places, width: own }) => ({
    label,
    places: places.map(({ x, seat }) => ({ x: x + (width - own) / 2, seat })),
  }));
  return { rows, width };
}

/** Where a key leads from a seat; null for other keys. */
export function led(rows: readonly PlacedRow[], from: At, key: string, whole = false): At | null {
  const row = rows[from.row];
  if (row === undefined) return null;
  const last = row.places.length - 1;
  switch (key) {
    case "ArrowLeft":
      return { ...from, seat: Math.max(0, from.seat - 1) };
    case "ArrowRight":
      return { ...from, seat: Math.min(last, from.seat + 1) };
    case "ArrowUp":
      return nearest(rows, from.row - 1, row.places[from.seat]?.x ?? 0) ?? from;
    case "ArrowDown":
      return nearest(rows, from.row + 1, row.places[from.seat]?.x ?? 0) ?? from;
    case "Home":
      return { row: whole ? 0 : from.row, seat: 0 };
    case "End": {
      const end = whole ? rows.length - 1 : from.row;
      return { row: end, seat: (rows[end]?.places.length ?? 1) - 1 };
    }
    default:
      return null;
  }
}

function nearest(rows: readonly PlacedRow[], row: number, x: number): At | null {
  const places = rows[row]?.places;
  if (places === undefined) return null;
  let best = 0;
  places.forEach((place, at) => {
    if (Math.abs(place.x - x) < Math.abs((places[best]?.x ?? 0) - x)) best = at;
  });
  return { row, seat: best };
}

/** All seats in the rectangle between two. */
export function between(rows: readonly PlacedRow[], one: At, other: At): string[] {
  const xs = [one, other].map((at) => rows[at.row]?.places[at.seat]?.x ?? 0);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [first, last] = [Math.min(one.row, other.row), Math.max(one.row, other.row)];
  return rows.flatMap(({ places }, row) =>
    row < first || row > last
      ? []
      : places.flatMap(({ x }, seat) =>
          x >= left - 0.5 && x <= right + 0.5 ? [keyOf({ row, seat })] : [],
        ),
  );
}

export interface History {
  past: readonly Layout[];
  plan: Layout;
  future: readonly Layout[];
}

const STEPS_MOST = 200;

export type Step = { kind: "change"; plan: Layout } | { kind: "undo" } | { kind: "redo" } | Reset;
type Reset = { kind: "reset"; plan: Layout };

/** A plan with the steps that led to it, so that each can be taken back. */
export function stepped(history: History, step: Step): History {
  const { past, plan, future } = history;
  switch (step.kind) {
    case "reset":
      return { past: [], plan: step.plan, future: [] };
    case "change":
      if (step.plan === plan) return history;
      return { past: [...past, plan].slice(-STEPS_MOST), plan: step.plan, future: [] };
    case "undo": {
      const before = past.at(-1);
      if (before === undefined) return history;
      return { past: past.slice(0, -1), plan: before, future: [plan, ...future] };
    }
    case "redo": {
      const [next, ...rest] = future;
      if (next === undefined) return history;
      return { past: [...past, plan], plan: next, future: rest };
    }
  }
}

/** A rectangle of standard seats. */
export function plain(rows: number, columns: number): Layout {
  return {
    rows: Array.from({ length: rows }, (_, at) => ({
      label: lettersOf(at + 1),
      seats: Array.from({ length: columns }, (_, n) => ({ number: n + 1, category: "regular" })),
    })),
  };
}
