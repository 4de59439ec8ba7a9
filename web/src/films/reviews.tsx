/** What people who have seen a film say of it; one's own can be written, changed and deleted. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED, type Schemas, whole } from "../api/client";
import { useSession } from "../api/session";
import { dateOf } from "../format";
import { type Key, useWords } from "../i18n";
import { type Fields, Form, Refusal } from "../ui/form";
import type { Movie } from "../ui/queries";
import { Dialog, Skeleton } from "../ui/state";
import { Stars } from "./stars";
import "../styles/reviews.css";

type Review = Schemas["Review"];
type OwnReview = Schemas["OwnReview"];
type Reason = Schemas["ReportInput"]["reason"];

const RATINGS = [5, 4, 3, 2, 1];
const REASONS: Reason[] = ["spam", "offensive", "spoiler", "other"];
const TEXT_CHARS_MOST = 2000;
const OWN_PAGES_MOST = 5;

/** The caller's review of a film; null if there is none. */
async function ownReview(filmId: string): Promise<OwnReview | null> {
  let cursor: string | undefined;
  for (let page = 0; page < OWN_PAGES_MOST; page += 1) {
    const params = { query: { limit: 100, cursor } };
    const body = await whole(api.GET("/api/v1/reviews", { params }));
    const own = body.data.find((one) => one.movie_id === filmId);
    if (own !== undefined) return own;
    cursor = body.meta.next_cursor ?? undefined;
    if (cursor === undefined) break;
  }
  return null;
}

export function Reviews({ film }: { film: Movie }) {
  const { t, many, language } = useWords();
  const session = useSession();
  const isUser = session.kind === "user";
  const reviews = useInfiniteQuery({
    queryKey: ["reviews", film.id],
    queryFn: ({ pageParam }) => {
      const query = { limit: 10, cursor: pageParam ?? undefined };
      const params = { path: { movie_id: film.id }, query };
      return whole(api.GET("/api/v1/movies/{movie_id}/reviews", { params }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
    staleTime: 60_000,
  });
  const own = useQuery({
    queryKey: ["own-review", film.id],
    queryFn: () => ownReview(film.id),
    enabled: isUser,
    staleTime: 60_000,
  });
  const { average, count } = film.rating ?? { average: null, count: 0 };
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const others = reviews.data?.pages
    .flatMap((page) => page.data)
    .filter((one) => one.id !== own.data?.id);
  return (
    <section className="reviews" aria-labelledby="reviews">
      <h2 id="reviews">{t("reviews.title")}</h2>
      <p className="reviews-sum">
        {average === null ? (
          t("reviews.none")
        ) : (
          <>
            <Stars rating={average} />
            {many("reviews.average", count, { average: number.format(average) })}
          </>
        )}
      </p>
      {isUser ? (
        own.data === undefined ? (
          <Refusal error={own.error} />
        ) : (
          <Own key={own.data?.updated_at ?? own.data?.id} film={film} own={own.data} />
        )
      ) : (
        session.kind !== "unknown" && (
          <p>
            <Link to="/sign-in" search={{ next: `/films/${film.id}` }} className="link">
              {t("reviews.signIn")}
            </Link>
          </p>
        )
      )}
      <Refusal error={reviews.error} />
      {reviews.isPending ? (
        <Skeleton className="times-skeleton" />
      ) : (
        <ul className="rows">
          {others?.map((one) => (
            <Said key={one.id} review={one} mayReport={isUser} />
          ))}
        </ul>
      )}
      {reviews.hasNextPage && (
        <button type="button" className="button quiet" onClick={() => reviews.fetchNextPage()}>
          {t("bookings.more")}
        </button>
      )}
    </section>
  );
}

function Said({ review, mayReport }: { review: Review; mayReport: boolean }) {
  const { t, language } = useWords();
  const [isAsking, setAsking] = useState(false);
  const author = review.author || t("reviews.somebody");
  return (
    <li className="review">
      <p>
        <Stars rating={review.rating} /> <strong>{author}</strong>{" "}
        <small>{dateOf(review.updated_at ?? review.created_at, language)}</small>
      </p>
      {review.text && <p className="said">{review.text}</p>}
      {mayReport && (
        <button
          type="button"
          className="button quiet"
          onClick={() => setAsking(true)}
          aria-label={`${t("reviews.report")}: ${author}`}
        >
          {t("reviews.report")}
        </button>
      )}
      {isAsking && <Reporting review={review} close={() => setAsking(false)} />}
    </li>
  );
}

function Reporting({ review, close }: { review: Review; close: () => void }) {
  const { t } = useWords();
  const reported = useMutation({
    mutationFn: ({ reason }: Fields) => {
      const params = { path: { review_id: review.id } };
      const body = { reason: reason as Reason };
      return ask(api.POST("/api/v1/reviews/{review_id}/report", { params, body }));
    },
  });
  return (
    <Dialog title={t("reviews.reportTitle")} close={close}>
      {reported.isSuccess ? (
        <>
          <p role="status">{t("reviews.reported")}</p>
          <div className="actions">
            <button type="button" className="button" onClick={close}>
              {t("app.back")}
            </button>
          </div>
        </>
      ) : (
        <Form
          submit={(fields) => reported.mutate(fields)}
          isBusy={reported.isPending}
          error={reported.error}
          action={t("reviews.report")}
        >
          <label className="field">
            <span>{t("reviews.why")}</span>
            <select name="reason">
              {REASONS.map((one) => (
                <option key={one} value={one}>
                  {t(`reviews.reason.${one}` as Key)}
                </option>
              ))}
            </select>
          </label>
          <button type="button" className="button quiet" onClick={close}>
            {t("app.back")}
          </button>
        </Form>
      )}
    </Dialog>
  );
}

function Own({ film, own }: { film: Movie; own: OwnReview | null }) {
  const { t } = useWords();
  const [isWriting, setWriting] = useState(false);
  const done = useChanged(film);
  const deleted = useMutation({
    mutationFn: (id: string) => {
      const params = { path: { review_id: id } };
      return ask(api.DELETE("/api/v1/reviews/{review_id}", { params }));
    },
    onSettled: done,
  });
  if (isWriting) return <Writing film={film} own={own} close={() => setWriting(false)} />;
  if (own === null) {
    return (
      <button type="button" className="button quiet" onClick={() => setWriting(true)}>
        {t("reviews.write")}
      </button>
    );
  }
  return (
    <section className="panel review" aria-labelledby="own-review">
      <h3 id="own-review">{t("reviews.own")}</h3>
      <p>
        <Stars rating={own.rating} />
        {own.status !== "published" && <span className="status">{t(`reviews.${own.status}`)}</span>}
      </p>
      {own.text && <p className="said">{own.text}</p>}
      {own.status === "rejected" && own.reason && <p className="warning">{own.reason}</p>}
      <Refusal error={deleted.error} />
      <div className="actions">
        <button type="button" className="button quiet" onClick={() => setWriting(true)}>
          {t("users.change")}
        </button>
        <button
          type="button"
          className="button danger"
          disabled={deleted.isPending}
          onClick={() => deleted.mutate(own.id)}
        >
          {t("promos.delete")}
        </button>
      </div>
    </section>
  );
}

/** A review changes what everybody reads, and the average of its film. */
function useChanged(film: Movie): () => Promise<unknown> {
  const queries = useQueryClient();
  return () =>
    Promise.all(
      ["own-review", "reviews", "film"].map((key) =>
        queries.invalidateQueries({ queryKey: [key, film.id] }),
      ),
    );
}

interface WritingProps {
  film: Movie;
  own: OwnReview | null;
  close: () => void;
}

function Writing({ film, own, close }: WritingProps) {
  const { t } = useWords();
  const done = useChanged(film);
  const written = useMutation({
    ...REPEATED,
    mutationFn: ({ rating, text = "", key = "" }: Fields) => {
      const body = { rating: Number(rating), text };
      if (own !== null) {
        const params = { path: { review_id: own.id } };
        return ask(api.PATCH("/api/v1/reviews/{review_id}", { params, body }));
      }
      const params = { path: { movie_id: film.id }, header: { "Idempotency-Key": key } };
      return ask(api.POST("/api/v1/movies/{movie_id}/reviews", { params, body }));
    },
    onSuccess: async () => {
      await done();
      close();
    },
  });
  const isBarred = written.error instanceof ApiError && written.error.code === "REVIEW_NOT_ALLOWED";
  return (
    <section className="panel" aria-labelledby="write-review">
      <h3 id="write-review">{t("reviews.write")}</h3>
      <Form
        submit={(fields) => written.mutate({ ...fields, key: newKey() })}
        isBusy={written.isPending}
        error={isBarred ? null : written.error}
        action={t("me.save")}
      >
        <label className="field">
          <span>{t("reviews.rating")}</span>
          <select name="rating" defaultValue={own?.rating ?? 5}>
            {RATINGS.map((one) => (
              <option key={one} value={one}>
                {t("reviews.of", { n: one })}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>{t("reviews.text")}</span>
          <textarea name="text" rows={4} maxLength={TEXT_CHARS_MOST} defaultValue={own?.text} />
        </label>
        {isBarred && (
          <p className="warning" role="alert">
            {t("reviews.notAllowed")}
          </p>
        )}
        <button type="button" className="button quiet" onClick={close}>
          {t("app.back")}
        </button>
      </Form>
    </section>
  );
}
