/** What is on: films with their posters, found by search and filters that stand in the address. */
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { lazy, type ReactNode, Suspense, useEffect, useState } from "react";
import { useSession } from "../api/session";
import { dayIn, dayName, runtime } from "../format";
import { useWords } from "../i18n";
import { cinemasQuery, type FilmFilters, filmsQuery, type Movie } from "../ui/queries";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { Fullness, useFilmFullness } from "./fullness";
import { Poster } from "./poster";

// Whoever comes for the first time does not load it.
const ForYouRow = lazy(() =>
  import("../foryou/row").then((loaded) => ({ default: loaded.ForYouRow })),
);

const DAY_MS = 86_400_000;
const TYPING_PAUSE_MS = 250;
const route = getRouteApi("/");

export function HomePage() {
  const { t, many, language } = useWords();
  const filters = route.useSearch();
  const navigate = useNavigate();
  const films = useQuery(filmsQuery(filters));
  const everything = useQuery(filmsQuery({}));
  const cinemas = useQuery(cinemasQuery);
  const session = useSession();
  const levels = useFilmFullness(films.data?.map((film) => film.id) ?? [], filters);
  useTitle(undefined);

  const change = (next: FilmFilters) =>
    navigate({ to: "/", search: (before) => ({ ...before, ...next }), replace: true });
  const genres = [...new Set((everything.data ?? []).flatMap((film) => film.genres))].sort();
  const zone = cinemas.data?.[0]?.time_zone ?? "UTC";
  const days = Array.from({ length: 7 }, (_, n) => dayIn(zone, Date.now() + n * DAY_MS));
  const isFiltered = Object.values(filters).some(Boolean);

  return (
    <>
      <header className="hero">
        <h1>{t("home.title")}</h1>
        <p>{t("home.lead")}</p>
      </header>
      <search className="filters">
        <SearchField q={filters.q ?? ""} change={(q) => change({ q: q || undefined })} />
        <Choice
          label={t("home.genre")}
          value={filters.genre}
          options={genres.map((genre) => [genre, genre])}
          change={(genre) => change({ genre })}
        />
        <Choice
          label={t("home.cinema")}
          value={filters.cinema}
          options={(cinemas.data ?? []).map((one) => [one.id, `${one.name}, ${one.city}`])}
          change={(cinema) => change({ cinema })}
        />
        <Choice
          label={t("home.day")}
          value={filters.date}
          options={days.map((day, n) => [day, n === 0 ? t("home.today") : dayName(day, language)])}
          change={(date) => change({ date })}
        />
      </search>
      {session.kind === "user" && !isFiltered && (
        <Suspense fallback={null}>
          <ForYouRow key={session.user.id} userId={session.user.id} />
        </Suspense>
      )}
      {films.isError ? (
        <Failure error={films.error} again={() => films.refetch()} />
      ) : films.data === undefined ? (
        <ul className="films" aria-busy="true">
          {Array.from({ length: 8 }, (_, n) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike.
            <li key={n}>
              <Skeleton className="poster" />
            </li>
          ))}
        </ul>
      ) : films.data.length === 0 ? (
        <Empty title={t("home.none")} text={t("home.noneText")}>
          <Link to="/" className="button" search={{}}>
            {t("home.clear")}
          </Link>
        </Empty>
      ) : (
        <>
          <p className="found" role="status">
            {many("home.found", films.data.length)}
            {isFiltered && (
              <Link to="/" search={{}} className="link">
                {t("home.clear")}
              </Link>
            )}
          </p>
          <ul className="films">
            {films.data.map((film, index) => (
              <FilmCard key={film.id} film={film} eager={index < 4}>
                <Fullness level={levels.get(film.id)} />
              </FilmCard>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

interface CardProps {
  film: Movie;
  eager: boolean;
  children: ReactNode;
}

function FilmCard({ film, eager, children }: CardProps) {
  return (
    <li>
      <Link to="/films/$filmId" params={{ filmId: film.id }} className="film-card">
        <Poster film={film} eager={eager} />
        <h2>{film.title}</h2>
        <p>
          {runtime(film.runtime_minutes)} · {film.genres.slice(0, 2).join(", ")}
        </p>
        {children}
      </Link>
    </li>
  );
}

function SearchField({ q, change }: { q: string; change: (q: string) => void }) {
  const { t } = useWords();
  const [text, setText] = useState(q);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only what is typed starts the pause.
  useEffect(() => {
    if (text.trim() === q) return;
    const timer = setTimeout(() => change(text.trim()), TYPING_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => setText((typed) => (typed.trim() === q ? typed : q)), [q]);
  return (
    <label className="field grow">
      <span>{t("home.search")}</span>
      <input type="search" value={text} maxLength={100} onChange={(e) => setText(e.target.value)} />
    </label>
  );
}

interface ChoiceProps {
  label: string;
  value: string | undefined;
  options: (readonly [string, string])[];
  change: (value: string | undefined) => void;
}

function Choice({ label, value, options, change }: ChoiceProps) {
  const { t } = useWords();
  return (
    <label className="field">
      <span>{label}</span>
      <select value={value ?? ""} onChange={(event) => change(event.target.value || undefined)}>
        <option value="">{t("home.any")}</option>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
