/** The seat map: one cell a seat, one tab stop for all, arrows between them. */
import {
  type KeyboardEvent,
  memo,
  useCallback,
  useLayoutEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { money } from "../format";
import { type Key, useWords, type Words } from "../i18n";
import { type Cell, type Grid, MARGIN, move, SEAT, type ShownSeat } from "./grid";
import type { SeatStore } from "./store";

/** The most seats of one hold. */
export const SEATS_MOST = 10;

interface MapProps {
  grid: Grid;
  store: SeatStore;
  toggle: (label: string) => void;
}

const CATEGORIES = ["regular", "premium", "vip"];
/** At this zoom a seat is 24 pixels wide, the least that a finger hits. */
const SMALLEST = 24 / SEAT;
/** A small room is not blown up to the width of a wide page. */
const COMFORTABLE = 1.7;
const STEP = 1.25;
const LARGEST = 3;

export const SeatMap = memo(function SeatMap({ grid, store, toggle }: MapProps) {
  const { t } = useWords();
  const [zoom, setZoom] = useState(SMALLEST);
  const [stops] = useState(() => new TabStop(firstStop(grid, store)));
  const map = useRef<SVGSVGElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  /** At this zoom the whole room is seen, even if its seats are too small for a finger. */
  const fitting = useCallback(() => ((frame.current?.clientWidth ?? 0) - 16) / grid.width, [grid]);
  useLayoutEffect(() => {
    setZoom(Math.min(Math.max(SMALLEST, fitting()), COMFORTABLE));
  }, [fitting]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.metaKey) return;
    if (event.key === " " || event.key === "Enter") {
      event.preventDefault();
      toggle(stops.label);
      return;
    }
    const next = move(grid, stops.label, event.key, event.ctrlKey);
    if (next === null) return;
    event.preventDefault();
    stops.moveTo(next);
    map.current?.querySelector<SVGGElement>(`[data-seat="${next}"]`)?.focus();
  };
  const press = useCallback(
    (label: string) => {
      stops.moveTo(label);
      toggle(label);
    },
    [stops, toggle],
  );
  const middle = grid.width / 2;
  return (
    <div className="map-frame">
      <div className="zoom">
        <button
          type="button"
          onClick={() => setZoom(Math.max(Math.min(SMALLEST, fitting()), zoom / STEP))}
        >
          <span aria-hidden="true">−</span>
          <span className="unseen">{t("seats.zoomOut")}</span>
        </button>
        <button type="button" onClick={() => setZoom(Math.min(LARGEST, zoom * STEP))}>
          <span aria-hidden="true">+</span>
          <span className="unseen">{t("seats.zoomIn")}</span>
        </button>
        <button type="button" onClick={() => setZoom(Math.min(fitting(), COMFORTABLE))}>
          <span aria-hidden="true">⤢</span>
          <span className="unseen">{t("seats.zoomFit")}</span>
        </button>
      </div>
      <div className="map-scroll" ref={frame}>
        <svg
          ref={map}
          className="map"
          viewBox={`0 0 ${grid.width} ${grid.height}`}
          width={grid.width * zoom}
          height={grid.height * zoom}
        >
          <defs>
            <pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse">
              <path d="M0 5 L5 0" className="hatch" />
            </pattern>
          </defs>
          <g aria-hidden="true" className="screen">
            <path d={`M${MARGIN} 34 Q${middle} 8 ${grid.width - MARGIN} 34`} />
            <text x={middle} y={42}>
              {t("seats.screen")}
            </text>
          </g>
          <g role="grid" aria-label={`${t("seats.map")}. ${t("seats.hint")}`} onKeyDown={onKeyDown}>
            {grid.rows.map((row) => (
              <g key={row.label} role="row" aria-label={row.label}>
                {[MARGIN / 2 - 2, grid.width - MARGIN / 2 - 2].map((x) => (
                  <text key={x} aria-hidden="true" className="row-label" x={x} y={row.y + 18}>
                    {row.label}
                  </text>
                ))}
                {row.cells.map((cell) => (
                  <SeatCell
                    key={cell.label}
                    cell={cell}
                    store={store}
                    stops={stops}
                    press={press}
                  />
                ))}
              </g>
            ))}
          </g>
        </svg>
      </div>
    </div>
  );
});

/** The one seat that Tab leads to. Two seats hear of a move, and not the whole room. */
class TabStop {
  private readonly listeners = new Map<string, () => void>();

  constructor(public label: string) {}

  moveTo(label: string): void {
    const before = this.label;
    this.label = label;
    this.listeners.get(before)?.();
    this.listeners.get(label)?.();
  }

  watch(label: string, listener: () => void): () => void {
    this.listeners.set(label, listener);
    return () => this.listeners.delete(label);
  }
}

/** The tab stop at first: a free seat in the middle. */
function firstStop(grid: Grid, store: SeatStore): string {
  const middle = Math.floor(grid.rows.length / 2);
  const row = grid.rows[middle]?.cells ?? [];
  const order = [...row].sort(
    (a, b) => Math.abs(a.x - grid.width / 2) - Math.abs(b.x - grid.width / 2),
  );
  const free = order.find((cell) => store.statusOf(cell.label) === "available");
  return (free ?? order[0] ?? grid.rows[0]?.cells[0])?.label ?? "";
}

interface CellProps {
  cell: Cell;
  store: SeatStore;
  stops: TabStop;
  press: (label: string) => void;
}

/**
 * One seat. Its shapes have places of their own instead of a `transform` of the group: with one for
 * each seat a browser paints and sorts hundreds of layers for each change.
 */
const SeatCell = memo(function SeatCell({ cell, store, stops, press }: CellProps) {
  const words = useWords();
  const { label, seat, x, y } = cell;
  const watch = useCallback(
    (listener: () => void) => {
      const ends = [store.watchSeat(label, listener), stops.watch(label, listener)];
      return () => {
        for (const end of ends) end();
      };
    },
    [store, stops, label],
  );
  const look = useSyncExternalStore(watch, () => store.lookOf(label));
  const isStop = useSyncExternalStore(watch, () => stops.label === label);
  const isFree = look === "available" || look === "chosen";
  const middle = SEAT / 2;
  return (
    <g
      role="gridcell"
      tabIndex={isStop ? 0 : -1}
      aria-label={nameOf(seat, look, words)}
      aria-selected={look === "chosen"}
      aria-disabled={!isFree}
      data-seat={label}
      className={`seat ${look} ${categoryOf(seat)}`}
      onClick={() => press(label)}
    >
      <rect x={x} y={y} width={SEAT} height={SEAT} rx={7} className="seat-shape" />
      {look === "held" && <rect x={x} y={y} width={SEAT} height={SEAT} rx={7} fill="url(#hatch)" />}
      {look === "booked" && (
        <path className="mark" d={`M${x + 8} ${y + 8} l10 10 m0 -10 l-10 10`} />
      )}
      {(look === "chosen" || look === "mine") && (
        <path className="mark" d={`M${x + 7} ${y + 13.5} l4.5 4.5 l7.5 -9.5`} />
      )}
      {look === "available" && (
        <text x={x + middle} y={y + middle + 4} className="seat-text">
          {seat.accessible ? "♿" : (seat.letter ?? seat.number)}
        </text>
      )}
    </g>
  );
});

function categoryOf(seat: ShownSeat): string {
  return CATEGORIES.includes(seat.category) ? seat.category : "regular";
}

export function nameOf(seat: ShownSeat, look: string, { t, language }: Words): string {
  const category = CATEGORIES.includes(seat.category)
    ? t(`seats.${seat.category}` as Key)
    : seat.category;
  const parts = [
    t("seats.row", { row: seat.row, seat: seat.letter ?? seat.number }),
    category,
    money(seat.price, language),
    seat.accessible ? t("seats.accessible") : "",
    seat.companion ? t("seats.companion") : "",
    t(`seats.${look}` as Key),
  ];
  return parts.filter(Boolean).join(", ");
}

/** The same seats as a list, for whoever finds a map hard to use. */
export function SeatList({ grid, store, toggle }: MapProps) {
  const { t } = useWords();
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="seat-list" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t("seats.list")}</summary>
      {isOpen &&
        grid.rows.map((row) => (
          <fieldset key={row.label}>
            <legend>{row.label}</legend>
            {row.cells.map((cell) => (
              <SeatChoice key={cell.label} cell={cell} store={store} toggle={toggle} />
            ))}
          </fieldset>
        ))}
    </details>
  );
}

interface ChoiceProps {
  cell: Cell;
  store: SeatStore;
  toggle: (label: string) => void;
}

function SeatChoice({ cell: { label, seat }, store, toggle }: ChoiceProps) {
  const words = useWords();
  const watch = useCallback(
    (listener: () => void) => store.watchSeat(label, listener),
    [store, label],
  );
  const look = useSyncExternalStore(watch, () => store.lookOf(label));
  return (
    <label>
      <input
        type="checkbox"
        checked={look === "chosen"}
        disabled={look !== "available" && look !== "chosen"}
        onChange={() => toggle(label)}
      />
      {nameOf(seat, look, words)}
    </label>
  );
}

export function Legend() {
  const { t } = useWords();
  const looks = ["regular", "premium", "vip", "chosen", "held", "booked"] as const;
  return (
    <ul className="legend" aria-label={t("seats.legend")}>
      {looks.map((look) => (
        <li key={look}>
          <svg viewBox="-1 -1 28 28" width="20" height="20" aria-hidden="true">
            <g
              className={`seat ${["regular", "premium", "vip"].includes(look) ? `available ${look}` : `${look} regular`}`}
            >
              <rect width="26" height="26" rx="7" className="seat-shape" />
              {look === "held" && <rect width="26" height="26" rx="7" fill="url(#hatch)" />}
              {look === "booked" && <path className="mark" d="M8 8 L18 18 M18 8 L8 18" />}
              {look === "chosen" && <path className="mark" d="M7 13.5 L11.5 18 L19 8.5" />}
            </g>
          </svg>
          {t(`seats.${look}`)}
        </li>
      ))}
    </ul>
  );
}
