/** Reviews that wait for somebody who decides whether all may read them, and what was decided. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, type Schemas, whole } from "../api/client";
import { Stars } from "../films/stars";
import { dateOf } from "../format";
import { type Key, useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Field, Form, Refusal } from "../ui/form";
import { filmQuery } from "../ui/queries";
import { Dialog, Empty, Failure, Skeleton, showCurrent, useTitle } from "../ui/state";
import { REVIEW_STATUSES } from "./parts";
import "../styles/reviews.css";

type Review = Schemas["ModeratedReview"];
type Decision = Schemas["Decision"];

const route = getRouteApi("/admin/reviews");
const ADMINS = ["admin"] as const;
const REASON_CHARS_MOST = 300;

export function ReviewsPage() {
  const { t } = useWords();
  useTitle(t("reviews.title"));
  return (
    <StaffOnly roles={ADMINS}>
      <Moderation />
    </StaffOnly>
  );
}

function Moderation() {
  const { t } = useWords();
  const { status = "pending" } = route.useSearch();
  const reviews = useInfiniteQuery({
    queryKey: ["moderated", status],
    queryFn: ({ pageParam }) => {
      const query = { status, limit: 20, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/admin/reviews", { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
    staleTime: 0,
  });
  const all = reviews.data?.pages.flatMap((page) => page.data);
  return (
    <>
      <header className="page-head">
        <h1>{t("reviews.title")}</h1>
      </header>
      <nav ref={showCurrent} className="days" aria-label={t("reviews.title")}>
        {REVIEW_STATUSES.map((one) => (
          <Link
            key={one}
            to="/admin/reviews"
            search={{ status: one }}
            replace
            className="chip"
            aria-current={one === status ? "page" : undefined}
          >
            {t(`reviews.${one}`)}
          </Link>
        ))}
      </nav>
      {reviews.isError ? (
        <Failure error={reviews.error} again={() => reviews.refetch()} />
      ) : all === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : all.length === 0 ? (
        <Empty title={t("reviews.noneHere")} text={t("reviews.noneHereText")} />
      ) : (
        <ul className="rows panel">
          {all.map((one) => (
            <Row key={one.id} review={one} />
          ))}
        </ul>
      )}
      {reviews.hasNextPage && (
        <button type="button" className="button quiet" onClick={() => reviews.fetchNextPage()}>
          {t("bookings.more")}
        </button>
      )}
    </>
  );
}

function Row({ review }: { review: Review }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const film = useQuery(filmQuery(review.movie_id));
  const [isRejecting, setRejecting] = useState(false);
  const decided = useMutation({
    mutationFn: (body: Decision) => {
      const params = { path: { review_id: review.id } };
      return ask(api.PATCH("/api/v1/admin/reviews/{review_id}", { params, body }));
    },
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["reviews", review.movie_id] });
      void queries.invalidateQueries({ queryKey: ["film", review.movie_id] });
      return queries.invalidateQueries({ queryKey: ["moderated"] });
    },
  });
  const title = film.data?.title ?? "…";
  const about = `${review.author || t("reviews.somebody")}, ${title}`;
  const reasons = review.reported_for.map((one) => t(`reviews.reason.${one}` as Key));
  return (
    <li className="row">
      <div className="review">
        <p>
          <Stars rating={review.rating} /> <strong>{review.author || t("reviews.somebody")}</strong>{" "}
          <Link to="/films/$filmId" params={{ filmId: review.movie_id }} className="link">
            {title}
          </Link>{" "}
          <small>{dateOf(review.updated_at ?? review.created_at, language)}</small>
        </p>
        {review.text && <p className="said">{review.text}</p>}
        {review.reports > 0 && (
          <p>
            <small>{t("reviews.reports", { n: review.reports, why: reasons.join(", ") })}</small>
          </p>
        )}
        {review.reason && (
          <p>
            <small>{t("reviews.because", { reason: review.reason })}</small>
          </p>
        )}
        <Refusal error={decided.error} />
      </div>
      {review.status !== "published" && (
        <button
          type="button"
          className="button"
          disabled={decided.isPending}
          onClick={() => decided.mutate({ status: "published" })}
          aria-label={`${t("reviews.publish")}: ${about}`}
        >
          {t("reviews.publish")}
        </button>
      )}
      {review.status !== "rejected" && (
        <button
          type="button"
          className="button danger"
          disabled={decided.isPending}
          onClick={() => setRejecting(true)}
          aria-label={`${t("reviews.reject")}: ${about}`}
        >
          {t("reviews.reject")}
        </button>
      )}
      {isRejecting && (
        <Dialog title={t("reviews.reject")} close={() => setRejecting(false)}>
          <Form
            submit={({ reason = "" }) => decided.mutate({ status: "rejected", reason })}
            isBusy={decided.isPending}
            error={decided.error}
            action={t("reviews.reject")}
          >
            <Field
              name="reason"
              label={t("till.reason")}
              autoComplete="off"
              hint={t("reviews.reasonText")}
              most={REASON_CHARS_MOST}
            />
            <button type="button" className="button quiet" onClick={() => setRejecting(false)}>
              {t("app.back")}
            </button>
          </Form>
        </Dialog>
      )}
    </li>
  );
}
