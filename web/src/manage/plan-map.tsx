/** A plan as a map: one cell a seat, one tab stop for all; arrows move, Space chooses. */
import { type KeyboardEvent, memo, useCallback, useEffect, useRef, useState } from "react";
import { type Key, useWords } from "../i18n";
import {
  type At,
  atOf,
  between,
  type Chosen,
  keyOf,
  type Layout,
  led,
  nameIn,
  type Place,
  placed,
} from "./plan";

const PITCH = 30;
const SIZE = 26;
const EDGE = 34;
const TOP = 56;
const KNOWN = ["regular", "premium", "vip"];

interface MapProps {
  plan: Layout;
  chosen: Chosen;
  choose: (next: Chosen) => void;
  at: At;
  goTo: (at: At) => void;
  /** Keys that do something with what is chosen. */
  press: (key: "Delete" | "undo" | "redo") => void;
}

export function PlanMap({ plan, chosen, choose, at, goTo, press }: MapProps) {
  const { t } = useWords();
  const { rows, width } = placed(plan);
  const map = useRef<SVGSVGElement>(null);
  const anchor = useRef<At>(at);
  const [wantsFocus, setWantsFocus] = useState(0);
  const stop = keyOf(at);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a key moves the focus.
  useEffect(() => {
    if (wantsFocus > 0) map.current?.querySelector<SVGGElement>(`[data-at="${stop}"]`)?.focus();
  }, [wantsFocus]);

  const toggled = (key: string) => {
    const next = new Set(chosen);
    if (!next.delete(key)) next.add(key);
    return next;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && event.key.toLowerCase() === "z") press(event.shiftKey ? "redo" : "undo");
    else if (isCommand && event.key.toLowerCase() === "y") press("redo");
    else if (isCommand && event.key.toLowerCase() === "a") choose(allOf(plan));
    else if (event.key === "Delete" || event.key === "Backspace") press("Delete");
    else if (event.key === "Escape") choose(new Set());
    else if (event.key === " " || event.key === "Enter") {
      anchor.current = at;
      choose(toggled(stop));
    } else {
      const next = led(rows, at, event.key, event.ctrlKey);
      if (next === null) return;
      goTo(next);
      setWantsFocus((n) => n + 1);
      if (event.shiftKey) choose(new Set(between(rows, anchor.current, next)));
      else anchor.current = next;
    }
    event.preventDefault();
  };
  const onCell = useRef<(key: string, isArea: boolean) => void>(() => undefined);
  onCell.current = (key, isArea) => {
    const next = atOf(key);
    goTo(next);
    if (isArea) choose(new Set([...chosen, ...between(rows, anchor.current, next)]));
    else {
      anchor.current = next;
      choose(toggled(key));
    }
  };
  const click = useCallback((key: string, isArea: boolean) => onCell.current(key, isArea), []);
  const whole = width * PITCH + 2 * EDGE;
  const height = TOP + rows.length * PITCH + 12;
  return (
    <div className="map-frame">
      <div className="map-scroll">
        <svg
          ref={map}
          className="map plan-map"
          viewBox={`0 0 ${whole} ${height}`}
          width={whole}
          height={height}
        >
          <g aria-hidden="true" className="screen">
            <path d={`M${EDGE} 30 Q${whole / 2} 6 ${whole - EDGE} 30`} />
            <text x={whole / 2} y={40}>
              {t("seats.screen")}
            </text>
          </g>
          <g
            role="grid"
            aria-label={`${t("seats.map")}. ${t("plan.hint")}`}
            aria-multiselectable="true"
            onKeyDown={onKeyDown}
          >
            {rows.map((row, index) => (
              // Rows have no name of their own while they are drawn: two may have the same label.
              // biome-ignore lint/suspicious/noArrayIndexKey: see above.
              <g key={index} role="row" aria-label={row.label}>
                {[EDGE / 2, whole - EDGE / 2].map((x) => (
                  <text
                    key={x}
                    aria-hidden="true"
                    className="row-label"
                    x={x}
                    y={TOP + index * PITCH + 18}
                  >
                    {row.label}
                  </text>
                ))}
                {row.places.map((place, seat) => {
                  const key = keyOf({ row: index, seat });
                  const own = plan.rows[index];
                  return (
                    <Cell
                      key={key}
                      at={key}
                      row={row.label}
                      name={own ? nameIn(own, place.seat) : ""}
                      seat={place.seat}
                      x={EDGE + place.x * PITCH}
                      y={TOP + index * PITCH}
                      isStop={key === stop}
                      isChosen={chosen.has(key)}
                      click={click}
                    />
                  );
                })}
              </g>
            ))}
          </g>
        </svg>
      </div>
    </div>
  );
}

function allOf(plan: Layout): Chosen {
  return new Set(
    plan.rows.flatMap((row, at) => row.seats.map((_, seat) => keyOf({ row: at, seat }))),
  );
}

interface CellProps {
  at: string;
  row: string;
  name: string;
  seat: Place["seat"];
  x: number;
  y: number;
  isStop: boolean;
  isChosen: boolean;
  click: (key: string, isArea: boolean) => void;
}

const Cell = memo(function Cell({ at, row, name, seat, x, y, isStop, isChosen, click }: CellProps) {
  const { t } = useWords();
  const isKnown = KNOWN.includes(seat.category);
  const parts = [
    t("seats.row", { row, seat: name }),
    isKnown ? t(`seats.${seat.category}` as Key) : seat.category,
    seat.accessible && t("seats.accessible"),
    seat.companion && t("seats.companion"),
    seat.gap_before && t("plan.aisleOf", { n: seat.gap_before }),
  ];
  const middle = SIZE / 2;
  return (
    <g
      role="gridcell"
      tabIndex={isStop ? 0 : -1}
      aria-label={parts.filter(Boolean).join(", ")}
      aria-selected={isChosen}
      data-at={at}
      data-seat={`${row}${name}`}
      className={`seat available ${isKnown ? seat.category : "other"} ${isChosen ? "picked" : ""}`}
      transform={`translate(${x} ${y})`}
      onClick={(event) => click(at, event.shiftKey)}
    >
      <rect width={SIZE} height={SIZE} rx={7} className="seat-shape" />
      {isChosen && (
        <rect x={-1} y={-1} width={SIZE + 2} height={SIZE + 2} rx={8} className="ring" />
      )}
      <text x={middle} y={middle + 4} className="seat-text">
        {seat.accessible ? "♿" : seat.companion ? `${name}+` : name}
      </text>
    </g>
  );
});
