/** A series that was booked: its bookings, each with a page of its own, and giving all of them back. */
import { useMutation, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED } from "../api/client";
import { useSession } from "../api/session";
import { dropTicket } from "../bookings/kept";
import { BookingEntry, useShow } from "../bookings/list";
import { type Booking, bookingQuery } from "../bookings/queries";
import { moment, money, sum } from "../format";
import { useWords } from "../i18n";
import { Refusal, textOf } from "../ui/form";
import { Dialog, Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { type Series, seriesQuery } from "./queries";

const route = getRouteApi("/series/$seriesId");

export function BookedSeriesPage() {
  const { seriesId } = route.useParams();
  const { new: isNew } = route.useSearch();
  const { t, language } = useWords();
  const session = useSession();
  const [isAsking, setAsking] = useState(false);
  const series = useQuery({ ...seriesQuery(seriesId), enabled: session.kind === "user" });
  useTitle(t("series.yours"));
  const isGone =
    session.kind !== "user" || (series.error instanceof ApiError && series.error.status === 404);
  if (isGone) {
    return (
      <Empty title={t("series.gone")} text={t("series.goneText")}>
        <Link to="/sign-in" search={{ next: `/series/${seriesId}` }} className="button">
          {t("app.signIn")}
        </Link>
      </Empty>
    );
  }
  if (series.isError) return <Failure error={series.error} again={() => series.refetch()} />;
  if (series.data === undefined) return <Skeleton className="checkout-skeleton" />;
  const { bookings, total } = series.data;
  const live = bookings.filter((one) => one.status === "confirmed");
  return (
    <article className="booking">
      <header className="page-head">
        <h1>{t(isNew && live.length > 0 ? "booking.thanks" : "series.yours")}</h1>
        <p>
          <SeriesStatus series={series.data} /> {t("checkout.total")}: {money(total, language)}
        </p>
      </header>
      <p>{t("series.each")}</p>
      <ul className="bookings">
        {bookings.map((one) => (
          <BookingEntry key={one.id} booking={one} />
        ))}
      </ul>
      {live.length > 0 && (
        <div className="actions">
          <button type="button" className="button danger" onClick={() => setAsking(true)}>
            {t("series.cancel")}
          </button>
        </div>
      )}
      {isAsking && <CancellingAll bookings={live} close={() => setAsking(false)} />}
    </article>
  );
}

export function SeriesStatus({ series: { status, bookings } }: { series: Series }) {
  const { t } = useWords();
  const isOver = status === "cancelled" || !bookings.some((one) => one.status === "confirmed");
  const shown = status === "pending" ? "pending" : isOver ? "cancelled" : "confirmed";
  return <span className={`status ${shown}`}>{t(`booking.${shown}`)}</span>;
}

/** What comes back for each is said first; what can no longer be given back stays. */
function CancellingAll({ bookings, close }: { bookings: Booking[]; close: () => void }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const [key] = useState(newKey);
  const quotes = useQueries({
    queries: bookings.map(({ id }) => ({
      queryKey: ["refund-quote", id, ""],
      queryFn: () => {
        const params = { path: { booking_id: id } };
        return ask(api.GET("/api/v1/bookings/{booking_id}/refund-quote", { params }));
      },
      staleTime: 0,
      gcTime: 0,
      retry: (failures: number, error: Error) =>
        failures < 3 && error instanceof ApiError && error.isTransient,
    })),
  });
  const isKnown = quotes.every((one) => !one.isPending);
  const possible = bookings.filter((_, n) => quotes[n]?.data !== undefined);
  const back = sum(quotes.flatMap((one) => one.data?.refund ?? []));
  const cancel = useMutation({
    ...REPEATED,
    mutationFn: async () => {
      // One after the other: what fails is said, and what was given back before it stays so.
      for (const { id } of possible) {
        const header = { "Idempotency-Key": `${key}-${id}` };
        const params = { path: { booking_id: id }, header };
        const left = await ask(api.DELETE("/api/v1/bookings/{booking_id}", { params }));
        queries.setQueryData(bookingQuery(id).queryKey, left);
        void dropTicket(id).catch(() => undefined);
      }
    },
    onSuccess: close,
    onSettled: () => void queries.invalidateQueries({ queryKey: ["bookings"] }),
  });
  return (
    <Dialog title={t("series.cancelTitle")} close={close}>
      {isKnown ? (
        <dl className="sum" aria-live="polite">
          {bookings.map((one, n) => (
            <Part key={one.id} booking={one}>
              {quotes[n]?.data
                ? money(quotes[n].data.refund, language)
                : quotes[n]?.error && textOf(quotes[n].error, t)}
            </Part>
          ))}
          <div className="total">
            <dt>{t("series.back")}</dt>
            <dd>{back && money(back, language)}</dd>
          </div>
        </dl>
      ) : (
        <Skeleton className="sum-skeleton" />
      )}
      <Refusal error={cancel.error} />
      <div className="actions">
        <button type="button" className="button" onClick={close}>
          {t("booking.cancelNo")}
        </button>
        <button
          type="button"
          className="button danger"
          disabled={!isKnown || possible.length === 0 || cancel.isPending}
          onClick={() => cancel.mutate()}
        >
          {t("booking.cancelYes", { amount: back ? money(back, language) : "…" })}
        </button>
      </div>
    </Dialog>
  );
}

function Part({ booking, children }: { booking: Booking; children: React.ReactNode }) {
  const { language } = useWords();
  const { film, showtime, cinema } = useShow(booking.showtime_id);
  return (
    <div>
      <dt>
        {film?.title}
        <br />
        <small>
          {showtime && cinema && moment(cinema.time_zone, showtime.starts_at, language)}
        </small>
      </dt>
      <dd>{children}</dd>
    </div>
  );
}
