/** All films there are, for whoever looks after them. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { api, whole } from "../api/client";
import { Poster } from "../films/poster";
import { dateOf, runtime } from "../format";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import type { Movie } from "../ui/queries";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import "../styles/manage.css";

const ADMINS = ["admin"] as const;
const route = getRouteApi("/admin/films");

export function FilmsPage() {
  const { t } = useWords();
  useTitle(t("films.title"));
  return (
    <StaffOnly roles={ADMINS}>
      <Films />
    </StaffOnly>
  );
}

function Films() {
  const { t } = useWords();
  const { q } = route.useSearch();
  const navigate = useNavigate();
  return (
    <>
      <header className="page-head">
        <h1>{t("films.title")}</h1>
      </header>
      <form
        className="search-row"
        onSubmit={(event) => {
          event.preventDefault();
          const asked = String(new FormData(event.currentTarget).get("q")).trim();
          void navigate({ to: "/admin/films", search: { q: asked || undefined }, replace: true });
        }}
      >
        <label className="field grow">
          <span>{t("home.search")}</span>
          <input key={q ?? ""} type="search" name="q" maxLength={100} defaultValue={q} />
        </label>
        <button type="submit" className="button quiet">
          {t("users.find")}
        </button>
        <Link to="/admin/films/$filmId" params={{ filmId: "new" }} className="button">
          {t("films.add")}
        </Link>
      </form>
      <List q={q} />
    </>
  );
}

function List({ q }: { q: string | undefined }) {
  const { t } = useWords();
  const films = useInfiniteQuery({
    queryKey: ["films", "all", q ?? ""],
    queryFn: ({ pageParam }) => {
      const query = { q, limit: 50, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/movies", { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
    staleTime: 0,
  });
  if (films.isError) return <Failure error={films.error} again={() => films.refetch()} />;
  if (films.data === undefined) return <Skeleton className="list-skeleton" />;
  const all = films.data.pages.flatMap((page) => page.data);
  if (all.length === 0) return <Empty title={t("home.none")} text={t("films.noneText")} />;
  return (
    <>
      <ul className="rows panel">
        {all.map((one) => (
          <FilmRow key={one.id} film={one} />
        ))}
      </ul>
      {films.hasNextPage && (
        <button
          type="button"
          className="button quiet"
          disabled={films.isFetchingNextPage}
          onClick={() => films.fetchNextPage()}
        >
          {t("bookings.more")}
        </button>
      )}
    </>
  );
}

function FilmRow({ film }: { film: Movie }) {
  const { t, language } = useWords();
  const facts = [
    runtime(film.runtime_minutes),
    film.release_date && dateOf(film.release_date, language),
    film.age_rating,
    film.genres.join(", "),
  ];
  return (
    <li className="row film-row">
      <div className="film-line">
        <Poster film={film} />
        <div>
          <strong>{film.title}</strong>
          <br />
          <small>{facts.filter(Boolean).join(" · ")}</small>
        </div>
      </div>
      <Link
        to="/admin/films/$filmId"
        params={{ filmId: film.id }}
        className="button quiet"
        aria-label={`${t("users.change")}: ${film.title}`}
      >
        {t("users.change")}
      </Link>
    </li>
  );
}
