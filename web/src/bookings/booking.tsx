/** One booking: what to show at the entrance, and how to give it back. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED } from "../api/client";
import { useSession } from "../api/session";
import { Poster } from "../films/poster";
import { moment, money } from "../format";
import { useWords } from "../i18n";
import { Dialog, Empty, Failure, keyOf, Skeleton, useTitle } from "../ui/state";
import { useShow } from "./list";
import { type Booking, bookingQuery, codeQuery } from "./queries";

const route = getRouteApi("/bookings/$bookingId");

export function BookingPage() {
  const { bookingId } = route.useParams();
  const { new: isNew } = route.useSearch();
  const { t, language } = useWords();
  const session = useSession();
  const booking = useQuery({ ...bookingQuery(bookingId), enabled: session.kind !== "nobody" });
  const { showtime, film, cinema } = useShow(booking.data?.showtime_id);
  const [isAsking, setAsking] = useState(false);
  useTitle(t("booking.title"));

  const isGone =
    (session.kind === "nobody" && booking.data === undefined) ||
    (booking.error instanceof ApiError && [401, 403, 404].includes(booking.error.status));
  if (isGone) {
    return (
      <Empty title={t("booking.gone")} text={t("booking.goneText")}>
        <Link to="/sign-in" search={{ next: `/bookings/${bookingId}` }} className="button">
          {t("app.signIn")}
        </Link>
      </Empty>
    );
  }
  if (booking.isError) return <Failure error={booking.error} again={() => booking.refetch()} />;
  if (booking.data === undefined) return <Skeleton className="checkout-skeleton" />;
  const { code, seats, total, status } = booking.data;
  const isLive = status === "confirmed" || status === "pending";
  return (
    <article className="booking">
      <header className="page-head">
        <h1>{isNew && status === "confirmed" ? t("booking.thanks") : t("booking.title")}</h1>
        {isNew && session.kind === "guest" && <p>{t("booking.mailed")}</p>}
      </header>
      <div className="ticket">
        {film ? <Poster film={film} eager /> : <Skeleton className="poster" />}
        <div className="ticket-text">
          <h2>{film?.title}</h2>
          <dl>
            <div>
              <dt>{t("booking.when")}</dt>
              <dd>
                {showtime && cinema && moment(cinema.time_zone, showtime.starts_at, language)}
              </dd>
            </div>
            <div>
              <dt>{t("booking.where")}</dt>
              <dd>
                {cinema?.name}
                <br />
                {cinema && `${cinema.address}, ${cinema.city}`}
              </dd>
            </div>
            <div>
              <dt>{t("booking.seats")}</dt>
              <dd className="big">{seats.map((seat) => seat.label).join(", ")}</dd>
            </div>
            <div>
              <dt>{t("booking.paid")}</dt>
              <dd>
                {money(total, language)}{" "}
                <span className={`status ${status}`}>{t(`booking.${status}`)}</span>
              </dd>
            </div>
          </dl>
        </div>
        <div className="stub">
          {status === "confirmed" && <Code bookingId={bookingId} />}
          <p>{t("booking.code")}</p>
          <code>{code}</code>
          {status === "confirmed" && <p>{t("booking.show")}</p>}
        </div>
      </div>
      <div className="actions">
        <button type="button" className="button quiet" onClick={() => window.print()}>
          {t("booking.print")}
        </button>
        {isLive && (
          <button type="button" className="button danger" onClick={() => setAsking(true)}>
            {t("booking.cancel")}
          </button>
        )}
      </div>
      {isAsking && <Cancelling booking={booking.data} close={() => setAsking(false)} />}
    </article>
  );
}

/** What scanners at the door read. Without it the booking's code still does at the counter. */
function Code({ bookingId }: { bookingId: string }) {
  const { t } = useWords();
  const picture = useQuery(codeQuery(bookingId));
  if (picture.isPending) return <Skeleton className="qr" />;
  return picture.data ? <img className="qr" src={picture.data} alt={t("booking.qr")} /> : null;
}

/** Says what would come back before anything is cancelled. */
function Cancelling({ booking, close }: { booking: Booking; close: () => void }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const [key] = useState(newKey);
  const path = { booking_id: booking.id };
  const quote = useQuery({
    queryKey: ["refund-quote", booking.id],
    queryFn: () => ask(api.GET("/api/v1/bookings/{booking_id}/refund-quote", { params: { path } })),
    staleTime: 0,
    gcTime: 0,
  });
  const cancel = useMutation({
    ...REPEATED,
    mutationFn: () => {
      const params = { path, header: { "Idempotency-Key": key } };
      return ask(api.DELETE("/api/v1/bookings/{booking_id}", { params }));
    },
    onSuccess: (cancelled) => {
      queries.setQueryData(bookingQuery(booking.id).queryKey, cancelled);
      void queries.invalidateQueries({ queryKey: ["bookings"] });
      close();
    },
  });
  const failed = quote.error ?? cancel.error;
  const isStarted = failed instanceof ApiError && failed.code === "SHOWTIME_STARTED";
  return (
    <Dialog title={t("booking.cancelTitle")} close={close}>
      {failed ? (
        <p className="warning" role="alert">
          {isStarted ? t("booking.started") : t(keyOf(failed))}
        </p>
      ) : quote.data === undefined ? (
        <Skeleton className="sum-skeleton" />
      ) : (
        <p>
          {quote.data.refund.amount === 0
            ? t("booking.noRefund")
            : t("booking.refund", {
                amount: money(quote.data.refund, language),
                percent: quote.data.percent,
              })}{" "}
          {quote.data.refund.amount > 0 &&
            quote.data.kept.amount > 0 &&
            t("booking.refundKept", { amount: money(quote.data.kept, language) })}
        </p>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={close}>
          {t("booking.cancelNo")}
        </button>
        <button
          type="button"
          className="button danger"
          disabled={quote.data === undefined || cancel.isPending}
          onClick={() => cancel.mutate()}
        >
          {t("booking.cancelYes", {
            amount: quote.data ? money(quote.data.refund, language) : "…",
          })}
        </button>
      </div>
    </Dialog>
  );
}
