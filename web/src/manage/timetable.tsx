/** The timetable of a cinema's day, and the plan of the scheduler for it. */
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, serverNow } from "../api/client";
import { dayIn, dayName } from "../format";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { useWorkplace, WorkplaceField } from "../staff/place";
import { type Cinema, filmsQuery, type Movie, screensQuery } from "../ui/queries";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { Board, FILM } from "./board";
import { Scheduler, usePlan } from "./scheduler";
import { ShowDialog, type Wish } from "./show-dialog";
import { dayAfter, instantOf } from "./timetable-parts";
import "../styles/manage.css";

const MANAGERS = ["manager", "admin"] as const;
const route = getRouteApi("/manage/timetable");
const EVENING = "20:00";

export function TimetablePage() {
  const { t } = useWords();
  useTitle(t("table.title"));
  return (
    <StaffOnly roles={MANAGERS}>
      <Timetable />
    </StaffOnly>
  );
}

function Timetable() {
  const { t } = useWords();
  const place = useWorkplace();
  const { cinema } = place;
  const { day } = route.useSearch();
  return (
    <>
      <header className="page-head">
        <h1>{t("table.title")}</h1>
      </header>
      {cinema ? (
        <Day
          key={cinema.id}
          cinema={cinema}
          day={day ?? dayIn(cinema.time_zone, serverNow())}
          field={<WorkplaceField {...place} />}
        />
      ) : (
        <Skeleton className="list-skeleton" />
      )}
    </>
  );
}

interface DayProps {
  cinema: Cinema;
  day: string;
  field: React.ReactNode;
}

function scheduleQuery(cinema: Cinema, day: string) {
  return {
    queryKey: ["timetable", cinema.id, day],
    queryFn: () => {
      const params = { path: { cinema_id: cinema.id }, query: { date: day } };
      return ask(api.GET("/api/v1/schedule/cinema/{cinema_id}", { params }));
    },
    staleTime: 0,
  };
}

/** A day, and those beside it: films run over midnight, and are moved over it. */
function useShows(cinema: Cinema, day: string) {
  const own = useQuery(scheduleQuery(cinema, day));
  const before = useQuery(scheduleQuery(cinema, dayAfter(day, -1)));
  const after = useQuery(scheduleQuery(cinema, dayAfter(day, 1)));
  return { own, around: [before, own, after].flatMap((one) => one.data?.showtimes ?? []) };
}

function Day({ cinema, day, field }: DayProps) {
  const { t, language } = useWords();
  const { own, around } = useShows(cinema, day);
  const rooms = useQuery(screensQuery(cinema.id));
  const films = useQuery(filmsQuery({}));
  const settings = useQuery({
    queryKey: ["cinema-settings", cinema.id],
    queryFn: () => {
      const params = { path: { cinema_id: cinema.id } };
      return ask(api.GET("/api/v1/cinemas/{cinema_id}/settings", { params }));
    },
  });
  const [wish, setWish] = useState<Wish | null>(null);
  const plan = usePlan(cinema);
  const isOther = settings.error instanceof ApiError && settings.error.status === 403;
  const error = own.error ?? rooms.error ?? films.error ?? (isOther ? null : settings.error);
  const midnightMs = instantOf(cinema.time_zone, day, "00:00");
  const all = rooms.data ?? [];
  const facts = settings.data?.settings;
  const first = all[0];
  const proposed = plan.proposed
    .filter((show) => dayIn(cinema.time_zone, show.starts_at) === day)
    .map((show) => {
      const film = films.data?.find((one) => one.id === show.movie_id);
      return { ...show, movie_title: film?.title ?? "…" };
    });
  return (
    <>
      <DayBar
        day={day}
        field={field}
        add={
          first && facts
            ? () =>
                setWish({
                  screenId: first.id,
                  startMs: instantOf(cinema.time_zone, day, EVENING),
                })
            : undefined
        }
      />
      {isOther ? (
        <p className="warning">{t("scan.forbidden")}</p>
      ) : error ? (
        <Failure error={error} again={() => own.refetch()} />
      ) : own.data === undefined || rooms.data === undefined || facts === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : first === undefined ? (
        <Empty title={t("screens.none")} text={t("table.noScreens")} />
      ) : (
        <>
          <h2>{dayName(day, language)}</h2>
          <Board
            zone={cinema.time_zone}
            midnightMs={midnightMs}
            rooms={all}
            shows={own.data.showtimes}
            proposed={proposed}
            cleaningMinutes={facts.cleaning_minutes ?? 0}
            open={(show) =>
              setWish({ show, screenId: show.screen_id, startMs: Date.parse(show.starts_at) })
            }
            moved={(show, to) =>
              setWish({ show, screenId: to.screen_id, startMs: Date.parse(to.starts_at) })
            }
            add={(room, startMs, filmId) => setWish({ screenId: room.id, startMs, filmId })}
          />
          <Films
            films={films.data ?? []}
            add={(filmId) =>
              setWish({
                filmId,
                screenId: first.id,
                startMs: instantOf(cinema.time_zone, day, EVENING),
              })
            }
          />
          <Scheduler cinema={cinema} day={day} rooms={all} films={films.data ?? []} plan={plan} />
          {wish && (
            <ShowDialog
              wish={wish}
              cinema={cinema}
              rooms={all}
              films={films.data ?? []}
              shows={around}
              adsMinutes={facts.ads_minutes ?? 0}
              cleaningMinutes={facts.cleaning_minutes ?? 0}
              day={day}
              close={() => setWish(null)}
            />
          )}
        </>
      )}
    </>
  );
}

interface DayBarProps {
  day: string;
  field: React.ReactNode;
  add: (() => void) | undefined;
}

function DayBar({ day, field, add }: DayBarProps) {
  const { t } = useWords();
  const navigate = useNavigate();
  const go = (next: string) =>
    void navigate({
      to: "/manage/timetable",
      search: { day: next },
      replace: true,
      resetScroll: false,
    });
  return (
    <div className="search-row">
      <button
        type="button"
        className="button quiet"
        onClick={() => go(dayAfter(day, -1))}
        aria-label={t("table.before")}
      >
        ←
      </button>
      <label className="field">
        <span>{t("home.day")}</span>
        <input
          type="date"
          required
          value={day}
          onChange={(event) => event.target.value && go(event.target.value)}
        />
      </label>
      <button
        type="button"
        className="button quiet"
        onClick={() => go(dayAfter(day, 1))}
        aria-label={t("table.after")}
      >
        →
      </button>
      {field}
      <button type="button" className="button" disabled={add === undefined} onClick={add}>
        {t("table.add")}
      </button>
    </div>
  );
}

/** Films to put on a screen: dragged to their place, or chosen. */
function Films({ films, add }: { films: readonly Movie[]; add: (filmId: string) => void }) {
  const { t } = useWords();
  return (
    <details className="panel board-films">
      <summary>{t("table.films")}</summary>
      <p>
        <small>{t("table.filmsText")}</small>
      </p>
      <ul className="tools">
        {films.map((film) => (
          <li key={film.id}>
            <button
              type="button"
              className="chip"
              draggable
              onDragStart={(event) => event.dataTransfer.setData(FILM, film.id)}
              onClick={() => add(film.id)}
            >
              {film.title}
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}
