/** One film: what is known of it, and its poster. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED } from "../api/client";
import { Poster } from "../films/poster";
import { type Key, useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Confirm, Field, type Fields, Form, Newest, STEADY, textOf } from "../ui/form";
import { filmQuery, type Movie } from "../ui/queries";
import { Failure, Skeleton, useTitle } from "../ui/state";
import {
  FIELDS,
  fieldsOf,
  LANGUAGES_PATTERN,
  LINK_PATTERN,
  movieOf,
  POSTER_PATTERN,
} from "./film-parts";
import "../styles/manage.css";

const ADMINS = ["admin"] as const;
const route = getRouteApi("/admin/films/$filmId");

export function FilmEditorPage() {
  const { t } = useWords();
  const { filmId } = route.useParams();
  useTitle(t("films.title"));
  return (
    <StaffOnly roles={ADMINS}>
      <Link to="/admin/films" className="link">
        {t("films.all")}
      </Link>
      {filmId === "new" ? <Adding /> : <Changing key={filmId} id={filmId} />}
    </StaffOnly>
  );
}

function Adding() {
  const { t } = useWords();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const added = useMutation({
    ...REPEATED,
    mutationFn: ({ key, fields }: { key: string; fields: Fields }) => {
      const params = { header: { "Idempotency-Key": key } };
      return ask(api.POST("/api/v1/movies", { params, body: movieOf(fields) }));
    },
    onSuccess: async (film) => {
      queries.setQueryData(filmQuery(film.id).queryKey, film);
      await queries.invalidateQueries({ queryKey: ["films"] });
      await navigate({ to: "/admin/films/$filmId", params: { filmId: film.id } });
    },
  });
  return (
    <>
      <header className="page-head">
        <h1>{t("films.new")}</h1>
        <p>{t("films.newText")}</p>
      </header>
      <section className="panel narrow" aria-label={t("films.facts")}>
        <Form
          submit={(fields) => added.mutate({ key: newKey(), fields })}
          isBusy={added.isPending}
          error={added.error}
          action={t("films.add")}
          fields={FIELDS}
        >
          <FilmFields initial={{}} />
        </Form>
      </section>
    </>
  );
}

function Changing({ id }: { id: string }) {
  const film = useQuery({ ...filmQuery(id), ...STEADY });
  if (film.isError) return <Failure error={film.error} again={() => film.refetch()} />;
  if (!film.isFetchedAfterMount || film.data === undefined)
    return <Skeleton className="list-skeleton" />;
  return <Loaded film={film.data} />;
}

function Loaded({ film }: { film: Movie }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const [isDeleting, setDeleting] = useState(false);
  const [round, setRound] = useState(0);
  const changed = useMutation({
    mutationFn: (fields: Fields) => {
      const params = { path: { movie_id: film.id }, header: matching(film) };
      return ask(api.PUT("/api/v1/movies/{movie_id}", { params, body: movieOf(fields) }));
    },
    onSuccess: (next) => {
      queries.setQueryData(filmQuery(film.id).queryKey, next);
      return queries.invalidateQueries({ queryKey: ["films"] });
    },
  });
  const again = async () => {
    await queries.invalidateQueries({ queryKey: filmQuery(film.id).queryKey });
    changed.reset();
    setRound(round + 1);
  };
  return (
    <>
      <header className="page-head">
        <h1>{film.title}</h1>
      </header>
      <div className="office">
        <section className="panel" aria-labelledby="facts">
          <h2 id="facts">{t("films.facts")}</h2>
          <Form
            key={round}
            submit={(fields) => changed.mutate(fields)}
            isBusy={changed.isPending}
            error={changed.error}
            action={t("me.save")}
            fields={FIELDS}
          >
            <FilmFields initial={fieldsOf(film)} />
            <Newest error={changed.error} again={again} />
            {changed.isSuccess && <p role="status">{t("me.saved")}</p>}
          </Form>
        </section>
        <div className="office-side">
          <PosterPanel film={film} />
          <button type="button" className="button danger" onClick={() => setDeleting(true)}>
            {t("films.delete")}
          </button>
        </div>
      </div>
      {isDeleting && <Deleting film={film} close={() => setDeleting(false)} />}
    </>
  );
}

function matching(film: Movie) {
  return { "If-Match": `"${film.version ?? 1}"` };
}

function FilmFields({ initial }: { initial: Fields }) {
  const { t } = useWords();
  return (
    <>
      <Field name="title" label={t("films.name")} initial={initial.title} most={300} />
      <Field
        name="description"
        label={t("films.description")}
        initial={initial.description}
        most={5000}
        lines={5}
        optional
      />
      <div className="pair">
        <Field
          name="runtime_minutes"
          type="number"
          label={t("films.runtime")}
          initial={initial.runtime_minutes}
          least={1}
          greatest={1000}
        />
        <Field
          name="release_date"
          type="date"
          label={t("films.release")}
          initial={initial.release_date}
          optional
        />
        <Field
          name="age_rating"
          label={t("films.age")}
          initial={initial.age_rating}
          most={16}
          optional
        />
      </div>
      <Field
        name="genres"
        label={t("films.genres")}
        initial={initial.genres}
        hint={t("films.commas")}
        most={700}
        optional
      />
      <Field
        name="languages"
        label={t("films.languages")}
        initial={initial.languages}
        hint={t("films.languagesHint")}
        pattern={LANGUAGES_PATTERN}
        optional
      />
      <Field
        name="trailer_url"
        label={t("films.trailer")}
        initial={initial.trailer_url}
        hint={t("films.linkHint")}
        pattern={LINK_PATTERN}
        most={2000}
        optional
      />
      <Field
        key={initial.poster_url}
        name="poster_url"
        label={t("films.posterUrl")}
        initial={initial.poster_url}
        hint={t("films.posterHint")}
        pattern={POSTER_PATTERN}
        most={2000}
        optional
      />
    </>
  );
}

const PICTURES = "image/jpeg,image/png,image/webp";

/** The poster that the film has, and one that is looked at before it is sent. */
function PosterPanel({ film }: { film: Movie }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const [picked, setPicked] = useState<{ file: File; url: string } | null>(null);
  const sent = useMutation({
    ...REPEATED,
    mutationFn: ({ key, file }: { key: string; file: File }) => {
      const form = new FormData();
      form.set("file", file);
      const params = { path: { movie_id: film.id }, header: { "Idempotency-Key": key } };
      // The document describes the part as a text; a form goes as it is.
      const body = form as unknown as { file: string };
      return ask(api.POST("/api/v1/movies/{movie_id}/poster", { params, body }));
    },
    onSuccess: (next) => {
      setPicked(null);
      queries.setQueryData(filmQuery(film.id).queryKey, next);
      return queries.invalidateQueries({ queryKey: ["films"] });
    },
  });
  const pick = (file: File | undefined) => {
    sent.reset();
    setPicked(null);
    if (file === undefined) return;
    const reader = new FileReader();
    reader.onload = () => setPicked({ file, url: String(reader.result) });
    reader.readAsDataURL(file);
  };
  return (
    <section className="panel" aria-labelledby="poster">
      <h2 id="poster">{t("films.poster")}</h2>
      {picked ? (
        <div className="poster">
          <img src={picked.url} alt={t("films.preview", { name: picked.file.name })} />
        </div>
      ) : (
        <Poster film={film} eager />
      )}
      <div className="field">
        <label htmlFor="picture">{t("films.choose")}</label>
        <input
          key={film.poster_url}
          id="picture"
          type="file"
          accept={PICTURES}
          aria-describedby="picture-hint"
          onChange={(event) => pick(event.target.files?.[0])}
        />
        <small id="picture-hint">{t("films.pictureHint")}</small>
      </div>
      {sent.error && (
        <p className="warning" role="alert">
          {pictureText(sent.error, t)}
        </p>
      )}
      {sent.isSuccess && <p role="status">{t("films.uploaded")}</p>}
      {picked && (
        <button
          type="button"
          className="button wide"
          disabled={sent.isPending}
          onClick={() => sent.mutate({ key: newKey(), file: picked.file })}
        >
          {t("films.upload")}
        </button>
      )}
    </section>
  );
}

const REASONS: Partial<Record<string, Key>> = {
  NOT_AN_IMAGE: "films.notImage",
  DAMAGED: "films.damaged",
  TOO_SMALL: "films.tooSmall",
  TOO_NARROW: "films.tooNarrow",
  TOO_MANY_PIXELS: "films.tooLarge",
  TOO_COSTLY: "films.tooLarge",
  SEVERAL_FRAMES: "films.moves",
};

function pictureText(error: Error, t: (key: Key) => string): string {
  if (error instanceof ApiError && error.status === 413) return t("films.tooLarge");
  const reason = error instanceof ApiError ? REASONS[String(error.details.reason)] : undefined;
  return reason ? t(reason) : textOf(error, t);
}

function Deleting({ film, close }: { film: Movie; close: () => void }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const deleted = useMutation({
    ...REPEATED,
    mutationFn: (key: string) => {
      const header = { ...matching(film), "Idempotency-Key": key };
      const params = { path: { movie_id: film.id }, header };
      return ask(api.DELETE("/api/v1/movies/{movie_id}", { params }));
    },
    onSuccess: async () => {
      await navigate({ to: "/admin/films" });
      await queries.invalidateQueries({ queryKey: ["films"] });
    },
  });
  return (
    <Confirm
      title={t("form.deleteTitle", { name: film.title })}
      text={t("films.deleteText")}
      action={t("films.delete")}
      run={() => deleted.mutate(newKey())}
      isBusy={deleted.isPending}
      error={deleted.error}
      close={close}
    />
  );
}
