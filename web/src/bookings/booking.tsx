/** One booking: what to show at the entrance, what to keep of it, and how to give it back. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, whole } from "../api/client";
import { useSession } from "../api/session";
import { useWords } from "../i18n";
import { Refusal } from "../ui/form";
import { save } from "../ui/links";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { AwayBooking, UNTIL_THERE, useKeeping, useKept } from "./away";
import { Cancelling, type Ways } from "./cancelling";
import { BookingCard } from "./card";
import { dropTicket } from "./kept";
import { bookingQuery, codeQuery } from "./queries";

const route = getRouteApi("/bookings/$bookingId");

export function BookingPage() {
  const { bookingId } = route.useParams();
  const { new: isNew } = route.useSearch();
  const { t } = useWords();
  const session = useSession();
  const queries = useQueryClient();
  const booking = useQuery({
    ...bookingQuery(bookingId),
    ...UNTIL_THERE,
    enabled: session.kind !== "nobody",
  });
  const kept = useKept(booking)?.find((one) => one.id === bookingId);
  useKeeping(booking.data);
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
  if (kept) return <AwayBooking ticket={kept} />;
  if (booking.isError) return <Failure error={booking.error} again={() => booking.refetch()} />;
  if (booking.data === undefined) return <Skeleton className="checkout-skeleton" />;
  const { code, status } = booking.data;
  const path = { booking_id: bookingId };
  const ways: Ways = {
    quote: (seats) => {
      const params = { path, query: { seats } };
      return ask(api.GET("/api/v1/bookings/{booking_id}/refund-quote", { params }));
    },
    cancel: (seats, key) => {
      const params = { path, query: { seats }, header: { "Idempotency-Key": key } };
      return ask(api.DELETE("/api/v1/bookings/{booking_id}", { params }));
    },
  };
  return (
    <article className="booking">
      <header className="page-head">
        <h1>{isNew && status === "confirmed" ? t("booking.thanks") : t("booking.title")}</h1>
        {isNew && session.kind === "guest" && <p>{t("booking.mailed")}</p>}
      </header>
      <BookingCard booking={booking.data}>
        {status === "confirmed" && <Code bookingId={bookingId} />}
      </BookingCard>
      <Files bookingId={bookingId} code={code} hasTickets={status === "confirmed"} />
      {(status === "confirmed" || status === "pending") && (
        <div className="actions">
          {status === "confirmed" && (
            <Link
              to="/bookings/$bookingId/exchange"
              params={{ bookingId }}
              className="button quiet"
            >
              {t("booking.exchange")}
            </Link>
          )}
          <button type="button" className="button danger" onClick={() => setAsking(true)}>
            {t("booking.cancel")}
          </button>
        </div>
      )}
      {isAsking && (
        <Cancelling
          booking={booking.data}
          ways={ways}
          done={(left) => {
            queries.setQueryData(bookingQuery(bookingId).queryKey, left);
            // What was given back opens no door any more, with a connection or without.
            if (left.status !== "confirmed") void dropTicket(bookingId).catch(() => undefined);
            void queries.invalidateQueries({ queryKey: ["bookings"] });
            void queries.invalidateQueries({ queryKey: ["code", bookingId] });
          }}
          close={() => setAsking(false)}
        />
      )}
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

interface FilesProps {
  bookingId: string;
  code: string;
  hasTickets: boolean;
}

/** Print, PDF, calendar. Files need the token, so they are fetched rather than linked. */
function Files({ bookingId, code, hasTickets }: FilesProps) {
  const { t, language } = useWords();
  const [failed, setFailed] = useState<Error | null>(null);
  const path = { booking_id: bookingId };
  const keep = async (call: Promise<{ data?: unknown; response: Response }>, name: string) => {
    try {
      save((await whole(call)) as Blob, name);
      setFailed(null);
    } catch (error) {
      setFailed(error as Error);
    }
  };
  const pdf = () => {
    const params = { path, query: { language } };
    const call = api.GET("/api/v1/bookings/{booking_id}/tickets.pdf", { params, parseAs: "blob" });
    return keep(call, `${code}.pdf`);
  };
  const calendar = () => {
    const params = { path };
    const call = api.GET("/api/v1/bookings/{booking_id}/calendar.ics", { params, parseAs: "blob" });
    return keep(call, `${code}.ics`);
  };
  return (
    <>
      <div className="actions">
        <button type="button" className="button quiet" onClick={() => window.print()}>
          {t("booking.print")}
        </button>
        {hasTickets && (
          <>
            <button type="button" className="button quiet" onClick={pdf}>
              {t("booking.pdf")}
            </button>
            <button type="button" className="button quiet" onClick={calendar}>
              {t("booking.calendar")}
            </button>
          </>
        )}
      </div>
      <Refusal error={failed} />
    </>
  );
}
