/** Films that somebody may like, why, and what that person says about them. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId, useState } from "react";
import { api, ask } from "../api/client";
import { useSession } from "../api/session";
import { Poster } from "../films/poster";
import { moment } from "../format";
import { useWords } from "../i18n";
import { Refusal } from "../ui/form";
import { cinemasQuery, filmsQuery } from "../ui/queries";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { note, useSeen } from "./events";
import {
  type FeedbackKind,
  preferencesQuery,
  type Recommendation,
  reasonText,
  recommendationsQuery,
} from "./queries";
import "../styles/foryou.css";

const SHOWN = 10;
const KINDS = ["more", "less", "seen", "hide"] as const;

export function ForYouPage() {
  const { t } = useWords();
  const session = useSession();
  const userId = session.kind === "user" ? session.user.id : null;
  const films = useQuery({
    ...recommendationsQuery(userId, SHOWN),
    enabled: session.kind !== "unknown",
  });
  useTitle(t("forYou.title"));
  return (
    <>
      <header className="page-head">
        <h1>{t("forYou.title")}</h1>
        <p>{t(userId === null ? "forYou.leadAll" : "forYou.lead")}</p>
      </header>
      {userId === null && session.kind !== "unknown" && (
        <Link to="/sign-in" search={{ next: "/for-you" }} className="button quiet">
          {t("app.signIn")}
        </Link>
      )}
      {userId !== null && <Preferences />}
      {films.isError ? (
        <Failure error={films.error} again={() => films.refetch()} />
      ) : films.data === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : films.data.length === 0 ? (
        <Empty title={t("forYou.none")} text={t("forYou.noneText")}>
          <Link to="/" className="button">
            {t("error.toFilms")}
          </Link>
        </Empty>
      ) : (
        <ul className="for-you">
          {films.data.map((one) => (
            <Film key={one.movie.id} one={one} isKnown={userId !== null} />
          ))}
        </ul>
      )}
    </>
  );
}

function Film({ one, isKnown }: { one: Recommendation; isKnown: boolean }) {
  const words = useWords();
  const { t, language } = words;
  const { movie, exposure_id } = one;
  const [said, setSaid] = useState<FeedbackKind | null>(null);
  const cinemas = useQuery(cinemasQuery);
  const place = useSeen(movie.id, exposure_id);
  const clicked = () => {
    if (exposure_id) note({ kind: "click", movie_id: movie.id, exposure_id });
  };
  const say = useMutation({
    mutationFn: async (kind: FeedbackKind | null) => {
      if (kind === null) {
        const params = { query: { movie_id: movie.id } };
        await ask(api.DELETE("/api/v1/recommendations/feedback", { params }));
      } else {
        const body = { movie_id: movie.id, kind, exposure_id };
        await ask(api.POST("/api/v1/recommendations/feedback", { body }));
      }
      return kind;
    },
    onSuccess: setSaid,
  });
  if (said === "hide" || said === "seen") {
    return (
      <li ref={place} className="panel said">
        <p role="status">{t(`forYou.${said}Said`, { title: movie.title })}</p>
        <button
          type="button"
          className="button quiet"
          disabled={say.isPending}
          onClick={() => say.mutate(null)}
        >
          {t("forYou.undo")}
        </button>
        <Refusal error={say.error} />
      </li>
    );
  }
  return (
    <li ref={place} className="panel">
      <Link to="/films/$filmId" params={{ filmId: movie.id }} onClick={clicked} tabIndex={-1}>
        <Poster film={movie} />
      </Link>
      <div>
        <h2>
          <Link to="/films/$filmId" params={{ filmId: movie.id }} onClick={clicked}>
            {movie.title}
          </Link>
        </h2>
        <p className="reason">{reasonText(one.reason, words)}</p>
        <ul className="next">
          {one.next_showtimes.map((showtime) => {
            const cinema = cinemas.data?.find(({ id }) => id === showtime.cinema_id);
            return (
              <li key={showtime.id}>
                <Link
                  to="/showtimes/$showtimeId"
                  params={{ showtimeId: showtime.id }}
                  className="chip"
                  onClick={clicked}
                >
                  {cinema === undefined
                    ? "…"
                    : `${moment(cinema.time_zone, showtime.starts_at, language)} · ${cinema.name}`}
                </Link>
              </li>
            );
          })}
        </ul>
        {isKnown && (
          <div
            className="feedback"
            role="group"
            aria-label={t("forYou.say", { title: movie.title })}
          >
            {KINDS.map((kind) => (
              <button
                key={kind}
                type="button"
                className="chip"
                aria-pressed={kind === "more" || kind === "less" ? said === kind : undefined}
                disabled={say.isPending}
                onClick={() => say.mutate(said === kind ? null : kind)}
              >
                {t(`forYou.${kind}`)}
              </button>
            ))}
          </div>
        )}
        <Refusal error={say.error} />
      </div>
    </li>
  );
}

function Preferences() {
  const { t } = useWords();
  const known = useQuery(preferencesQuery);
  if (known.data === undefined) return <Refusal error={known.error} />;
  return (
    <details className="panel preferences">
      <summary>{t(known.data.opt_out ? "forYou.isOff" : "forYou.preferences")}</summary>
      <Choosing
        known={{ genres: [], cinema_ids: [], opt_out: false, date_of_birth: null, ...known.data }}
      />
    </details>
  );
}

interface Chosen {
  genres: string[];
  cinema_ids: string[];
  opt_out: boolean;
  date_of_birth: string | null;
}

function Choosing({ known }: { known: Chosen }) {
  const { t } = useWords();
  const birth = useId();
  const queries = useQueryClient();
  const films = useQuery(filmsQuery({}));
  const cinemas = useQuery(cinemasQuery);
  const [wanted, setWanted] = useState(known);
  const saved = useMutation({
    mutationFn: () => ask(api.PUT("/api/v1/me/preferences", { body: wanted })),
    onSuccess: async (now) => {
      queries.setQueryData(preferencesQuery.queryKey, now);
      await queries.invalidateQueries({ queryKey: ["recommendations"] });
    },
  });
  const genres = [
    ...new Set([...known.genres, ...(films.data ?? []).flatMap((film) => film.genres)]),
  ].sort();
  const change = (name: "genres" | "cinema_ids", key: string, isOn: boolean) => {
    saved.reset();
    setWanted((before) => {
      const rest = before[name].filter((one) => one !== key);
      return { ...before, [name]: isOn ? [...rest, key] : rest };
    });
  };
  return (
    <form
      className="account-form"
      onSubmit={(event) => {
        event.preventDefault();
        saved.mutate();
      }}
    >
      <Ticks
        title={t("forYou.genres")}
        options={genres.map((genre) => [genre, genre])}
        chosen={wanted.genres}
        change={(key, isOn) => change("genres", key, isOn)}
      />
      <Ticks
        title={t("forYou.cinemas")}
        options={(cinemas.data ?? []).map(({ id, name, city }) => [id, `${name}, ${city}`])}
        chosen={wanted.cinema_ids}
        change={(key, isOn) => change("cinema_ids", key, isOn)}
      />
      <div className="field">
        <label htmlFor={birth}>{t("forYou.born")}</label>
        <input
          id={birth}
          type="date"
          autoComplete="bday"
          min="1900-01-01"
          max={new Date().toISOString().slice(0, 10)}
          value={wanted.date_of_birth ?? ""}
          aria-describedby={`${birth}-hint`}
          onChange={(event) => {
            saved.reset();
            setWanted({ ...wanted, date_of_birth: event.target.value || null });
          }}
        />
        <small id={`${birth}-hint`}>{t("forYou.bornText")}</small>
      </div>
      <label className="check">
        <input
          type="checkbox"
          checked={wanted.opt_out}
          onChange={(event) => {
            saved.reset();
            setWanted({ ...wanted, opt_out: event.target.checked });
          }}
        />
        {t("forYou.optOut")}
      </label>
      <p>
        <small>{t("forYou.optOutText")}</small>
      </p>
      <Refusal error={saved.error} />
      {saved.isSuccess && <p role="status">{t("me.saved")}</p>}
      <button type="submit" className="button" disabled={saved.isPending}>
        {t("me.save")}
      </button>
    </form>
  );
}

interface TicksProps {
  title: string;
  options: (readonly [string, string])[];
  chosen: string[];
  change: (key: string, isOn: boolean) => void;
}

function Ticks({ title, options, chosen, change }: TicksProps) {
  return (
    <fieldset className="ticks">
      <legend>{title}</legend>
      {options.map(([key, text]) => (
        <label key={key} className="check">
          <input
            type="checkbox"
            checked={chosen.includes(key)}
            onChange={(event) => change(key, event.target.checked)}
          />
          {text}
        </label>
      ))}
    </fieldset>
  );
}
