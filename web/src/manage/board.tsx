/** A day as screens × time: showtimes are moved by the mouse, by a finger or by the arrow keys. */
import {
  type CSSProperties,
  type DragEvent,
  type KeyboardEvent,
  type MouseEvent,
  type PointerEvent,
  useRef,
  useState,
} from "react";
import { useWords } from "../i18n";
import type { Show } from "../staff/shows";
import {
  FAR_MINUTES,
  hoursOf,
  inTheWay,
  MINUTE_MS,
  minutesOf,
  movedBy,
  type Placed,
  STEP_MINUTES,
  snapped,
  timeIn,
} from "./timetable-parts";

export interface Room {
  id: string;
  name: string;
}

/** What a plan would add. */
export type Proposed = Show & { isNew: true };

interface BoardProps {
  zone: string;
  midnightMs: number;
  rooms: readonly Room[];
  shows: readonly Show[];
  proposed: readonly Proposed[];
  cleaningMinutes: number;
  open: (show: Show) => void;
  /** A showtime was moved; nothing is changed yet. */
  moved: (show: Show, to: Show) => void;
  /** A place was pointed at; with a film, if one was dropped there. */
  add: (room: Room, startMs: number, filmId?: string) => void;
}

/** How far a showtime was moved, in minutes and in rows. */
interface Shift {
  id: string;
  minutes: number;
  rows: number;
}

/** What a film is called while it is dragged. */
export const FILM = "text/x-cinema-film";

export function Board(props: BoardProps) {
  const { zone, midnightMs, rooms, shows, proposed, cleaningMinutes } = props;
  const { t } = useWords();
  const [shift, setShift] = useState<Shift | null>(null);
  const hours = hoursOf(midnightMs, [...shows, ...proposed]);
  const rowOf = (screenId: string) => rooms.findIndex((room) => room.id === screenId);
  const shifted = (show: Show, by: Shift | null): Show => {
    if (by?.id !== show.id) return show;
    const row = Math.max(0, Math.min(rooms.length - 1, rowOf(show.screen_id) + by.rows));
    return movedBy(show, by.minutes, rooms[row]?.id ?? show.screen_id);
  };
  const now = shows.map((show) => shifted(show, shift));
  const told = now.find((show) => show.id === shift?.id);
  const blocks: readonly (Show | Proposed)[] = [...now, ...proposed];
  const drop = (id: string) => {
    const show = shows.find((one) => one.id === id);
    setShift(null);
    if (show === undefined) return;
    const to = shifted(show, shift);
    if (to.starts_at !== show.starts_at || to.screen_id !== show.screen_id) props.moved(show, to);
  };
  const nameOf = (screenId: string) => rooms[rowOf(screenId)]?.name ?? "";
  return (
    <>
      <p className="board-told" role="status">
        {told
          ? [
              t("table.told", {
                film: told.movie_title,
                screen: nameOf(told.screen_id),
                time: timeIn(zone, Date.parse(told.starts_at)),
              }),
              inTheWay(told, now, cleaningMinutes).length > 0 ? t("table.conflict") : "",
            ].join(" ")
          : t("table.hint")}
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keys. */}
      <section className="board" aria-label={t("table.day")} tabIndex={0}>
        <div className="board-names">
          {rooms.map((room) => (
            <h3 key={room.id}>{room.name}</h3>
          ))}
        </div>
        <div className="board-day">
          <Hours {...props} hours={hours} />
          <Tracks {...props} hours={hours}>
            {blocks.map((show) => (
              <Block
                key={show.id}
                show={show}
                screen={nameOf(show.screen_id)}
                row={rowOf(show.screen_id)}
                zone={zone}
                hours={hours}
                midnightMs={midnightMs}
                cleaningMinutes={cleaningMinutes}
                isShifted={show.id === shift?.id}
                isInTheWay={inTheWay(show, blocks, cleaningMinutes).length > 0}
                shift={(minutes, rows) => setShift({ id: show.id, minutes, rows })}
                nudge={(minutes, rows) =>
                  setShift((was) => {
                    const before = was?.id === show.id ? was : { minutes: 0, rows: 0 };
                    const next = { minutes: before.minutes + minutes, rows: before.rows + rows };
                    return { id: show.id, ...next };
                  })
                }
                drop={() => drop(show.id)}
                leave={() => setShift(null)}
                open={() => props.open(show)}
              />
            ))}
          </Tracks>
        </div>
      </section>
    </>
  );
}

function Hours({ zone, midnightMs, hours }: BoardProps & { hours: Placed }) {
  const count = (hours.until - hours.from) / 60;
  const marks = Array.from({ length: count }, (_, n) => hours.from + n * 60);
  return (
    <div className="board-hours" aria-hidden="true">
      {marks.map((mark) => (
        <span key={mark} style={place(hours, { from: mark, until: mark + 60 })}>
          {timeIn(zone, midnightMs + mark * MINUTE_MS)}
        </span>
      ))}
    </div>
  );
}

function place(hours: Placed, { from, until }: Placed): CSSProperties {
  const whole = hours.until - hours.from;
  return {
    left: `${((from - hours.from) / whole) * 100}%`,
    width: `${((until - from) / whole) * 100}%`,
  };
}

function inRow(row: number): CSSProperties {
  return { top: `calc(var(--track) * ${row})` };
}

interface TracksProps extends BoardProps {
  hours: Placed;
  children: React.ReactNode;
}

/** The rows behind the showtimes: a press, or a film that is dropped, asks for a showtime there. */
function Tracks({ rooms, hours, midnightMs, add, children }: TracksProps) {
  const { t } = useWords();
  const [isOver, setOver] = useState(false);
  const placeOf = (event: MouseEvent<HTMLElement>) => {
    const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
    const row = Math.floor(((event.clientY - top) / height) * rooms.length);
    const minutes = hours.from + ((event.clientX - left) / width) * (hours.until - hours.from);
    return { room: rooms[row], start: midnightMs + snapped(minutes) * MINUTE_MS };
  };
  const onDrop = (event: DragEvent<HTMLElement>) => {
    setOver(false);
    const film = event.dataTransfer.getData(FILM);
    const { room, start } = placeOf(event);
    if (film === "" || room === undefined) return;
    event.preventDefault();
    add(room, start, film);
  };
  const size = { height: `calc(var(--track) * ${rooms.length})` };
  return (
    // What a press does here, the button that adds a showtime does for keys.
    // biome-ignore lint/a11y/noStaticElementInteractions: see above.
    // biome-ignore lint/a11y/useKeyWithClickEvents: see above.
    <div
      className={isOver ? "board-tracks over" : "board-tracks"}
      title={t("table.addHere")}
      style={size}
      onClick={(event) => {
        if (event.target instanceof HTMLElement && event.target.closest("button")) return;
        const { room, start } = placeOf(event);
        if (room !== undefined) add(room, start);
      }}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes(FILM)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={onDrop}
    >
      {rooms.map((room, row) => (
        <div key={room.id} className="board-track" style={inRow(row)} />
      ))}
      {children}
    </div>
  );
}

interface BlockProps {
  show: Show | Proposed;
  screen: string;
  row: number;
  zone: string;
  hours: Placed;
  midnightMs: number;
  cleaningMinutes: number;
  isShifted: boolean;
  isInTheWay: boolean;
  shift: (minutes: number, rows: number) => void;
  nudge: (minutes: number, rows: number) => void;
  drop: () => void;
  leave: () => void;
  open: () => void;
}

const KEYS: Partial<Record<string, [steps: number, rows: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
/** A hand is not quite still when it presses. */
const STILL_PIXELS = 6;

function Block(props: BlockProps) {
  const { show, screen, row, zone, hours, midnightMs, isShifted, isInTheWay } = props;
  const { t } = useWords();
  const begun = useRef<{ x: number; y: number; day: DOMRect; row: number } | null>(null);
  const wasMoved = useRef(false);
  const span = minutesOf(midnightMs, show);
  const [time = "", end = ""] = [show.starts_at, show.ends_at].map((at) =>
    timeIn(zone, Date.parse(at)),
  );
  const isNew = "isNew" in show;

  const onPointerDown = (event: PointerEvent<HTMLButtonElement>) => {
    const tracks = event.currentTarget.parentElement;
    wasMoved.current = false;
    if (isNew || event.button !== 0 || tracks === null) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const { clientX: x, clientY: y } = event;
    const day = tracks.getBoundingClientRect();
    begun.current = { x, y, day, row: event.currentTarget.offsetHeight };
  };
  const onPointerMove = (event: PointerEvent<HTMLButtonElement>) => {
    const from = begun.current;
    if (from === null) return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (!wasMoved.current && Math.hypot(dx, dy) < STILL_PIXELS) return;
    wasMoved.current = true;
    const minutes = snapped((dx / from.day.width) * (hours.until - hours.from));
    props.shift(minutes, Math.round(dy / from.row));
  };
  const onPointerEnd = (event: PointerEvent<HTMLButtonElement>) => {
    if (begun.current === null) return;
    begun.current = null;
    if (!wasMoved.current) return;
    if (event.type === "pointerup") props.drop();
    else props.leave();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (isNew) return;
    const [steps, rows] = KEYS[event.key] ?? [0, 0];
    if (event.key in KEYS) {
      event.preventDefault();
      props.nudge(steps * (event.shiftKey ? FAR_MINUTES : STEP_MINUTES), rows);
    } else if (event.key === "Escape" && isShifted) props.leave();
    else if (event.key === "Enter" && isShifted) {
      event.preventDefault();
      props.drop();
    }
  };
  const onClick = () => {
    if (!isNew && !wasMoved.current) props.open();
    wasMoved.current = false;
  };
  const states = [isNew && "new", isShifted && "shifted", isInTheWay && "in-the-way"];
  const named = [
    isNew && t("table.new"),
    `${time} ${show.movie_title}`,
    t("film.until", { time: end }),
    screen,
    `${show.format}, ${show.language}`,
    isInTheWay && t("table.conflict"),
  ];
  const cleaning = { from: span.until, until: span.until + props.cleaningMinutes };
  return (
    <>
      <button
        type="button"
        className={["board-show", ...states].filter(Boolean).join(" ")}
        style={{ ...place(hours, span), ...inRow(row) }}
        aria-label={named.filter(Boolean).join(", ")}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerEnd}
        onPointerCancel={onPointerEnd}
        onKeyDown={onKeyDown}
        onBlur={() => {
          if (isShifted && begun.current === null) props.leave();
        }}
        onClick={onClick}
      >
        <strong>{time}</strong> <span>{show.movie_title}</span>
      </button>
      <span
        className="board-cleaning"
        aria-hidden="true"
        style={{ ...place(hours, cleaning), ...inRow(row) }}
      />
    </>
  );
}
