/** A film, and when it is shown where: each time on the cinema's own clock. */
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense } from "react";
import { clock, dayIn, dayName, runtime } from "../format";
import { useWords } from "../i18n";
import { type Cinema, cinemasQuery, filmQuery, type Showtime, showtimesQuery } from "../ui/queries";
import { Empty, Failure, Skeleton, showCurrent, useTitle } from "../ui/state";
import { Fullness, useFullness } from "./fullness";
import { Poster } from "./poster";

// Whoever comes for a time does not wait for what others have said.
const Reviews = lazy(() => import("./reviews").then((loaded) => ({ default: loaded.Reviews })));

const route = getRouteApi("/films/$filmId");

export function FilmPage() {
  const { filmId } = route.useParams();
  const { t, language } = useWords();
  const film = useQuery(filmQuery(filmId));
  const showtimes = useQuery(showtimesQuery(filmId));
  const cinemas = useQuery(cinemasQuery);
  useTitle(film.data?.title);

  const failed = film.error ?? showtimes.error ?? cinemas.error;
  if (failed) {
    const again = () => void Promise.all([film.refetch(), showtimes.refetch(), cinemas.refetch()]);
    return <Failure error={failed} again={again} />;
  }
  if (film.data === undefined) return <Skeleton className="film-skeleton" />;
  const languages = new Intl.DisplayNames(language, { type: "language" });
  return (
    <article className="film">
      <Poster film={film.data} eager />
      <div className="film-text">
        <h1>{film.data.title}</h1>
        <p className="facts">
          <span>{runtime(film.data.runtime_minutes)}</span>
          <span>{film.data.release_date?.slice(0, 4)}</span>
          <span className="rating">{film.data.age_rating}</span>
          <span>{film.data.genres.join(", ")}</span>
          <span>{film.data.languages.map((code) => languages.of(code)).join(", ")}</span>
        </p>
        <p className="lead">{film.data.description}</p>
      </div>
      <section className="programme" aria-labelledby="when">
        <h2 id="when">{t("film.when")}</h2>
        {showtimes.data === undefined || cinemas.data === undefined ? (
          <Skeleton className="times-skeleton" />
        ) : (
          <Programme showtimes={showtimes.data} cinemas={cinemas.data} />
        )}
      </section>
      <Suspense fallback={<Skeleton className="times-skeleton" />}>
        <Reviews film={film.data} />
      </Suspense>
    </article>
  );
}

function Programme({ showtimes, cinemas }: { showtimes: Showtime[]; cinemas: Cinema[] }) {
  const { t, language } = useWords();
  const { day: asked } = route.useSearch();
  const zones = new Map(cinemas.map((one) => [one.id, one.time_zone]));
  const dayOf = (one: Showtime) => dayIn(zones.get(one.cinema_id) ?? "UTC", one.starts_at);
  const sold = showtimes.filter((one) => one.status !== "cancelled");
  const days = [...new Set(sold.map(dayOf))].sort();
  const day = asked !== undefined && days.includes(asked) ? asked : days[0];
  const shown = sold.filter((one) => dayOf(one) === day);
  const levels = useFullness(shown.map((one) => one.id));
  if (day === undefined) return <Empty title={t("film.none")} text={t("film.noneText")} />;
  return (
    <>
      <nav ref={showCurrent} className="days" aria-label={t("home.day")}>
        {days.map((one) => (
          <Link
            key={one}
            to="."
            search={{ day: one }}
            replace
            resetScroll={false}
            className="chip"
            aria-current={one === day ? "date" : undefined}
          >
            {dayName(one, language)}
          </Link>
        ))}
      </nav>
      {cinemas.map((cinema) => {
        const here = shown.filter((one) => one.cinema_id === cinema.id);
        if (here.length === 0) return null;
        return (
          <section key={cinema.id} className="at-cinema">
            <h3>{t("film.soldHere", { cinema: cinema.name, city: cinema.city })}</h3>
            <ul className="times">
              {here.map((one) => (
                <Time key={one.id} showtime={one} zone={cinema.time_zone}>
                  <Fullness level={levels.get(one.id)} />
                </Time>
              ))}
            </ul>
            {hasSeries(sold, cinema.id) && (
              <Link
                to="/series"
                search={{ cinema: cinema.id, film: here[0]?.movie_id }}
                className="link"
              >
                {t("series.offer")}
              </Link>
            )}
          </section>
        );
      })}
    </>
  );
}

/** Whether one screen of a cinema shows the film more than once. */
function hasSeries(showtimes: Showtime[], cinemaId: string): boolean {
  const screens = showtimes.filter((one) => one.cinema_id === cinemaId).map((one) => one.screen_id);
  return new Set(screens).size < screens.length;
}

interface TimeProps {
  showtime: Showtime;
  zone: string;
  /** The booking that is exchanged for it. */
  exchange?: string;
  children?: ReactNode;
}

export function Time({ showtime, zone, exchange, children }: TimeProps) {
  const { t, language } = useWords();
  const languages = new Intl.DisplayNames(language, { type: "language" });
  return (
    <li>
      <Link
        to="/showtimes/$showtimeId"
        params={{ showtimeId: showtime.id }}
        search={{ exchange }}
        className="time"
      >
        <strong>{clock(zone, showtime.starts_at, language)}</strong>
        <span>
          {showtime.format} {t("film.in", { language: languages.of(showtime.language) ?? "" })}
        </span>
        <span>{t("film.until", { time: clock(zone, showtime.ends_at, language) })}</span>
        {children}
      </Link>
    </li>
  );
}
