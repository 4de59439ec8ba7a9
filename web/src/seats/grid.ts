/** Where seats are on the map, and where a key leads. Pure. */
import type { Schemas } from "../api/client";

export type ShownSeat = Schemas["ShownSeat"];
type Layout = Schemas["Layout"];

export const PITCH = 30;
export const SEAT = 26;
export const MARGIN = 28;
export const TOP = 64;

export interface Cell {
  label: string;
  x: number;
  y: number;
  seat: ShownSeat;
}

export interface Row {
  label: string;
  y: number;
  cells: Cell[];
}

export interface Grid {
  rows: Row[];
  width: number;
  height: number;
  at: Map<string, { row: number; column: number }>;
}

/** Rows centred on the screen's middle line, with the aisles of the layout. */
export function gridOf(seats: ShownSeat[], layout: Layout | null): Grid {
  const gaps = new Map<string, number>();
  for (const row of layout?.rows ?? [])
    for (const seat of row.seats) gaps.set(`${row.label}/${seat.number}`, seat.gap_before ?? 0);
  const byRow = new Map<string, ShownSeat[]>();
  for (const seat of seats) {
    const row = byRow.get(seat.row);
    if (row === undefined) byRow.set(seat.row, [seat]);
    else row.push(seat);
  }
  const measured = [...byRow].map(([label, inRow]) => {
    let x = 0;
    const places = inRow.map((seat, index) => {
      x += gaps.get(`${seat.row}/${seat.number}`) ?? 0;
      const place = { seat, x: x + index };
      return place;
    });
    return { label, places, width: inRow.length + x };
  });
  const widest = Math.max(1, ...measured.map((row) => row.width));
  const at: Grid["at"] = new Map();
  const rows = measured.map(({ label, places, width }, index) => {
    const left = MARGIN + ((widest - width) / 2) * PITCH;
    const y = TOP + index * PITCH;
    const cells = places.map(({ seat, x }, column) => {
      at.set(seat.label, { row: index, column });
      return { label: seat.label, seat, x: left + x * PITCH, y };
    });
    return { label, y, cells };
  });
  return {
    rows,
    width: widest * PITCH + 2 * MARGIN,
    height: TOP + rows.length * PITCH + 16,
    at,
  };
}

/** The seat that a key leads to from `label`, the same one at an edge; null for other keys. */
export function move(grid: Grid, label: string, key: string, whole = false): string | null {
  const place = grid.at.get(label);
  if (place === undefined) return null;
  const row = grid.rows[place.row];
  if (row === undefined) return null;
  switch (key) {
    case "ArrowLeft":
      return row.cells[Math.max(0, place.column - 1)]?.label ?? label;
    case "ArrowRight":
      return row.cells[Math.min(row.cells.length - 1, place.column + 1)]?.label ?? label;
    case "ArrowUp":
    case "ArrowDown": {
      const step = key === "ArrowUp" ? -1 : 1;
      return nearest(grid.rows[place.row + step], row.cells[place.column]?.x ?? 0) ?? label;
    }
    case "Home":
      return (whole ? grid.rows[0] : row)?.cells[0]?.label ?? label;
    case "End":
      return (whole ? grid.rows.at(-1) : row)?.cells.at(-1)?.label ?? label;
    default:
      return null;
  }
}

/** The seat of a row that is nearest to a column, so that aisles do not shift it. */
function nearest(row: Row | undefined, x: number): string | null {
  let best: Cell | null = null;
  for (const cell of row?.cells ?? [])
    if (best === null || Math.abs(cell.x - x) < Math.abs(best.x - x)) best = cell;
  return best?.label ?? null;
}

/** Whether seats of several rows, or with somebody between them, were chosen. */
export function areApart(grid: Grid, labels: Iterable<string>): boolean {
  const places = [...labels].map((label) => grid.at.get(label)).filter((one) => one !== undefined);
  const columns = places.map((place) => place.column).sort((a, b) => a - b);
  if (new Set(places.map((place) => place.row)).size > 1) return true;
  return columns.some((column, index) => index > 0 && column - (columns[index - 1] ?? 0) > 1);
}
