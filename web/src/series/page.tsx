/** A series: several showtimes on one screen with the same seats. */
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { clock, dayIn, dayName } from "../format";
import { useWords } from "../i18n";
import {
  type Cinema,
  cinemasQuery,
  filmsQuery,
  type Movie,
  type Showtime,
  screensQuery,
} from "../ui/queries";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { programmeQuery } from "./queries";
import { Together } from "./seats";
import { idsIn, SHOWS_LEAST, SHOWS_MOST, screensFor } from "./together";
import "../styles/account.css";
import "../styles/series.css";

const route = getRouteApi("/series");

export interface SeriesWish {
  cinema?: string;
  screen?: string;
  film?: string;
  /** Ids of showtimes, with commas. */
  shows?: string;
  /** Labels of seats that are to be paid now, with commas. */
  seats?: string;
}

export function SeriesPage() {
  const { t } = useWords();
  const { cinema: asked } = route.useSearch();
  const cinemas = useQuery(cinemasQuery);
  useTitle(t("series.title"));
  if (cinemas.isError) return <Failure error={cinemas.error} again={() => cinemas.refetch()} />;
  const cinema = cinemas.data?.find((one) => one.id === asked) ?? cinemas.data?.[0];
  return (
    <>
      <header className="page-head">
        <h1>{t("series.title")}</h1>
        <p>{t("series.lead")}</p>
      </header>
      {cinema === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : (
        <AtCinema key={cinema.id} cinema={cinema} cinemas={cinemas.data ?? []} />
      )}
    </>
  );
}

function AtCinema({ cinema, cinemas }: { cinema: Cinema; cinemas: Cinema[] }) {
  const { t } = useWords();
  const wish = route.useSearch();
  const navigate = useNavigate();
  const programme = useQuery(programmeQuery(cinema.id));
  const screens = useQuery(screensQuery(cinema.id));
  const films = useQuery(filmsQuery({ cinema: cinema.id }));
  const failed = programme.error ?? screens.error ?? films.error;
  if (failed) {
    const again = () => void Promise.all([programme.refetch(), screens.refetch(), films.refetch()]);
    return <Failure error={failed} again={again} />;
  }
  if (!programme.data || !screens.data || !films.data)
    return <Skeleton className="list-skeleton" />;
  const film = films.data.find((one) => one.id === wish.film);
  const wanted = programme.data.filter((one) => film === undefined || one.movie_id === film.id);
  const many = screensFor(wanted);
  const rooms = screens.data.filter((one) => many.has(one.id));
  const room = rooms.find((one) => one.id === wish.screen) ?? rooms[0];
  const ids = idsIn(wish.shows);
  const here = programme.data.filter((one) => one.screen_id === room?.id);
  const chosen = here.filter((one) => ids.includes(one.id));
  const listed = here.filter((one) => ids.includes(one.id) || wanted.includes(one));
  const change = (next: SeriesWish) =>
    void navigate({
      to: "/series",
      search: { ...wish, cinema: cinema.id, screen: room?.id, seats: undefined, ...next },
      replace: true,
      resetScroll: false,
    });
  const toggle = (id: string) => {
    const left = chosen.map((one) => one.id);
    const next = left.includes(id) ? left.filter((one) => one !== id) : [...left, id];
    change({ shows: next.join(",") || undefined });
  };
  return (
    <>
      <div className="filters series-filters">
        <Choice
          label={t("home.cinema")}
          value={cinema.id}
          options={cinemas.map((one) => [one.id, `${one.name}, ${one.city}`])}
          change={(id) => change({ cinema: id, screen: undefined, shows: undefined })}
        />
        <Choice
          label={t("series.screen")}
          value={room?.id ?? ""}
          options={rooms.map((one) => [one.id, one.name])}
          change={(id) => change({ screen: id, shows: undefined })}
        />
        <Choice
          label={t("series.film")}
          value={film?.id ?? ""}
          options={[["", t("home.any")], ...films.data.map((one) => [one.id, one.title] as const)]}
          change={(id) => change({ film: id || undefined })}
        />
      </div>
      {room === undefined ? (
        <Empty title={t("series.none")} text={t("series.noneText")} />
      ) : (
        <section className="panel" aria-labelledby="shows">
          <h2 id="shows">{t("series.which")}</h2>
          <p role="status">{t("series.count", { n: chosen.length, most: SHOWS_MOST })}</p>
          <Times
            shows={listed}
            films={films.data}
            zone={cinema.time_zone}
            chosen={chosen}
            toggle={toggle}
          />
        </section>
      )}
      {chosen.length >= SHOWS_LEAST && (
        <Together
          key={chosen.map((one) => one.id).join()}
          shows={chosen}
          films={films.data}
          cinema={cinema}
        />
      )}
    </>
  );
}

interface TimesProps {
  shows: Showtime[];
  films: Movie[];
  zone: string;
  chosen: Showtime[];
  toggle: (id: string) => void;
}

function Times({ shows, films, zone, chosen, toggle }: TimesProps) {
  const { t, language } = useWords();
  const languages = new Intl.DisplayNames(language, { type: "language" });
  const days = [...new Set(shows.map((one) => dayIn(zone, one.starts_at)))];
  const isFull = chosen.length >= SHOWS_MOST;
  return (
    <div className="series-days">
      {days.map((day) => (
        <fieldset key={day} className="ticks">
          <legend>
            <h3>{dayName(day, language)}</h3>
          </legend>
          {shows
            .filter((one) => dayIn(zone, one.starts_at) === day)
            .map((one) => (
              <label key={one.id} className="check">
                <input
                  type="checkbox"
                  checked={chosen.includes(one)}
                  disabled={isFull && !chosen.includes(one)}
                  onChange={() => toggle(one.id)}
                />
                <span>
                  <strong>{clock(zone, one.starts_at, language)}</strong>{" "}
                  {films.find((film) => film.id === one.movie_id)?.title ?? "…"}{" "}
                  <small>
                    {one.format} {t("film.in", { language: languages.of(one.language) ?? "" })}
                  </small>
                </span>
              </label>
            ))}
        </fieldset>
      ))}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  options: (readonly [string, string])[];
  change: (value: string) => void;
}

function Choice({ label, value, options, change }: ChoiceProps) {
  return (
    <label className="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => change(event.target.value)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
