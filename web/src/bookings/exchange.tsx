/** Another time for the same film: choose it, choose seats, see the difference, decide. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, REPEATED, type Schemas } from "../api/client";
import { useSession } from "../api/session";
import { Countdown } from "../checkout/countdown";
import { Time } from "../films/film";
import { dayIn, dayName, moment, money } from "../format";
import { type Key, useWords } from "../i18n";
import { extendHold, type Hold, holdQuery } from "../seats/holds";
import { keep, keptAt } from "../seats/kept";
import { textOf } from "../ui/form";
import { cinemasQuery, showtimesQuery, siteQuery } from "../ui/queries";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { useShow } from "./list";
import { type Booking, bookingQuery } from "./queries";

const route = getRouteApi("/bookings/$bookingId/exchange");
const ADULT = "adult";

export function ExchangePage() {
  const { bookingId } = route.useParams();
  const { showtime: wanted } = route.useSearch();
  const { t, language } = useWords();
  const session = useSession();
  const booking = useQuery({ ...bookingQuery(bookingId), enabled: session.kind !== "nobody" });
  const { showtime, film, cinema } = useShow(booking.data?.showtime_id);
  useTitle(t("booking.exchange"));
  if (session.kind === "nobody" || booking.data?.status === "cancelled") {
    return (
      <Empty title={t("booking.gone")} text={t("booking.goneText")}>
        <Link to="/bookings" className="button">
          {t("app.bookings")}
        </Link>
      </Empty>
    );
  }
  if (booking.isError) return <Failure error={booking.error} again={() => booking.refetch()} />;
  const seats = booking.data?.seats.map((seat) => seat.label).join(", ");
  return (
    <>
      <header className="page-head">
        <Link to="/bookings/$bookingId" params={{ bookingId }} className="link">
          ← {t("booking.title")}
        </Link>
        <h1>{t("booking.exchange")}</h1>
        <p>
          {showtime && cinema && film ? (
            `${film.title} · ${moment(cinema.time_zone, showtime.starts_at, language)} · ${seats}`
          ) : (
            <span className="line-skeleton" />
          )}
        </p>
      </header>
      {booking.data === undefined || showtime === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : wanted === undefined ? (
        <Times booking={booking.data} filmId={showtime.movie_id} />
      ) : (
        <Deciding booking={booking.data} showtimeId={wanted} />
      )}
    </>
  );
}

function Times({ booking, filmId }: { booking: Booking; filmId: string }) {
  const { t, language } = useWords();
  const showtimes = useQuery(showtimesQuery(filmId));
  const cinemas = useQuery(cinemasQuery);
  const [chosen, setChosen] = useState("");
  const failed = showtimes.error ?? cinemas.error;
  if (failed) return <Failure error={failed} again={() => showtimes.refetch()} />;
  if (showtimes.data === undefined || cinemas.data === undefined)
    return <Skeleton className="list-skeleton" />;
  const { currency } = booking.total;
  const here = cinemas.data.filter((one) => one.currency === currency);
  const zones = new Map(here.map((one) => [one.id, one.time_zone]));
  const others = showtimes.data.flatMap((one) => {
    const zone = zones.get(one.cinema_id);
    const isOther = one.id !== booking.showtime_id && one.status !== "cancelled";
    return zone === undefined || !isOther ? [] : [{ ...one, day: dayIn(zone, one.starts_at) }];
  });
  const days = [...new Set(others.map((one) => one.day))].sort();
  const same = showtimes.data.find((one) => one.id === booking.showtime_id);
  const today = same && dayIn(zones.get(same.cinema_id) ?? "UTC", same.starts_at);
  const day = [chosen, today].find((one) => one && days.includes(one)) ?? days[0];
  if (day === undefined) return <Empty title={t("exchange.none")} text={t("film.noneText")} />;
  return (
    <>
      <p>{t("exchange.choose")}</p>
      <fieldset className="days" aria-label={t("home.day")}>
        {days.map((one) => (
          <button
            key={one}
            type="button"
            className="chip"
            aria-pressed={one === day}
            onClick={() => setChosen(one)}
          >
            {dayName(one, language)}
          </button>
        ))}
      </fieldset>
      {here.map((cinema) => {
        const shown = others.filter((one) => one.cinema_id === cinema.id && one.day === day);
        if (shown.length === 0) return null;
        return (
          <section key={cinema.id} className="at-cinema">
            <h2>{t("film.soldHere", { cinema: cinema.name, city: cinema.city })}</h2>
            <ul className="times">
              {shown.map((one) => (
                <Time key={one.id} showtime={one} zone={cinema.time_zone} exchange={booking.id} />
              ))}
            </ul>
          </section>
        );
      })}
    </>
  );
}

function Deciding({ booking, showtimeId }: { booking: Booking; showtimeId: string }) {
  const { t } = useWords();
  const [holdId] = useState(() => keptAt(showtimeId));
  const hold = useQuery({ ...holdQuery(showtimeId, holdId ?? ""), enabled: holdId !== null });
  const isOver =
    holdId === null ||
    (hold.error instanceof ApiError && hold.error.status === 404) ||
    ["expired", "released", "booked"].includes(hold.data?.status ?? "");
  if (isOver) {
    return (
      <Empty title={t("checkout.expired")} text={t("exchange.expiredText")}>
        <Link
          to="/showtimes/$showtimeId"
          params={{ showtimeId }}
          search={{ exchange: booking.id }}
          className="button"
        >
          {t("checkout.again")}
        </Link>
      </Empty>
    );
  }
  if (hold.error) return <Failure error={hold.error} again={() => hold.refetch()} />;
  if (hold.data === undefined) return <Skeleton className="checkout-skeleton" />;
  return <Difference booking={booking} hold={hold.data} />;
}

/** Tickets keep their types, in the order of the seats, as far as there are as many. */
function ticketsOf(booking: Booking, hold: Hold): Schemas["TicketInput"][] {
  return hold.seats.flatMap(({ label }, index) => {
    const type = booking.seats[index]?.type ?? ADULT;
    return type === ADULT ? [] : [{ seat: label, type }];
  });
}

const REFUSED: Partial<Record<string, Key>> = {
  SHOWTIME_STARTED: "booking.started",
  ALREADY_USED: "booking.used",
  PAYMENT_DISPUTED: "booking.disputed",
  BOOKING_ENDED: "booking.ended",
  PRODUCTS_IN_BOOKING: "exchange.products",
  PAYMENT_REQUIRED: "exchange.counter",
};

function Difference({ booking, hold }: { booking: Booking; hold: Hold }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { showtime, cinema } = useShow(hold.showtime_id);
  const site = useQuery(siteQuery);
  const { queryKey } = holdQuery(hold.showtime_id, hold.hold_id);
  const tickets = ticketsOf(booking, hold);
  const body = {
    showtime_id: hold.showtime_id,
    seats: hold.seats.map((seat) => seat.label),
    tickets,
  };
  const price = useQuery({
    queryKey: ["quote", body],
    queryFn: () => ask(api.POST("/api/v1/pricing/calculate", { body })),
  });
  const path = { booking_id: booking.id };
  const worth = useQuery({
    queryKey: ["refund-quote", booking.id, ""],
    queryFn: () => ask(api.GET("/api/v1/bookings/{booking_id}/refund-quote", { params: { path } })),
    staleTime: 0,
    gcTime: 0,
  });
  const more =
    price.data && worth.data ? price.data.total.amount - worth.data.refund.amount : undefined;
  const exchanged = useMutation({
    ...REPEATED,
    mutationFn: () => {
      const header = { "Idempotency-Key": `exchange-${booking.id}-${hold.hold_id}` };
      const pays = (more ?? 0) > 0 ? { payment: { method: "demo" } } : {};
      const { showtime_id, hold_id } = hold;
      return ask(
        api.POST("/api/v1/bookings/{booking_id}/exchange", {
          params: { path, header },
          body: { showtime_id, hold_id, tickets, ...pays },
        }),
      );
    },
    onSuccess: (made) => {
      keep(null);
      queries.setQueryData(bookingQuery(made.id).queryKey, made);
      void queries.invalidateQueries({ queryKey: ["booking", booking.id] });
      void queries.invalidateQueries({ queryKey: ["bookings"] });
      const params = { bookingId: made.id };
      void navigate({ to: "/bookings/$bookingId", params, search: { new: true }, replace: true });
    },
    onError: () => void queries.invalidateQueries({ queryKey }),
  });
  const extended = useMutation({
    mutationFn: () => extendHold(hold),
    onSuccess: (longer) => queries.setQueryData(queryKey, longer),
    onError: () => void queries.invalidateQueries({ queryKey }),
  });
  const refused = price.error ?? worth.error ?? exchanged.error;
  const known = refused instanceof ApiError ? REFUSED[refused.code] : undefined;
  const currency = booking.total.currency;
  const needsCounter = (more ?? 0) > 0 && site.data?.demo_payment === false;
  return (
    <>
      <Countdown
        expiresAt={hold.expires_at}
        over={() => void queries.invalidateQueries({ queryKey })}
        extend={() => extended.mutate()}
        isExtending={extended.isPending}
      />
      <section className="panel exchange" aria-labelledby="new">
        <h2 id="new">{t("exchange.new")}</h2>
        <p>
          {showtime && cinema && moment(cinema.time_zone, showtime.starts_at, language)} ·{" "}
          {hold.seats.map((seat) => seat.label).join(", ")}
        </p>
        {more === undefined || !price.data || !worth.data ? (
          <Skeleton className="sum-skeleton" />
        ) : (
          <dl className="sum">
            <div>
              <dt>{t("exchange.price")}</dt>
              <dd>{money(price.data.total, language)}</dd>
            </div>
            <div>
              <dt>{t("exchange.worth")}</dt>
              <dd>−{money(worth.data.refund, language)}</dd>
            </div>
            <div className="total">
              <dt>{t(more < 0 ? "exchange.back" : "exchange.more")}</dt>
              <dd>{money({ amount: Math.abs(more), currency }, language)}</dd>
            </div>
          </dl>
        )}
        {refused && (
          <p className="warning" role="alert">
            {known ? t(known) : textOf(refused, t)}
          </p>
        )}
        {needsCounter ? (
          <p className="warning">{t("exchange.counter")}</p>
        ) : (
          <button
            type="button"
            className="button wide"
            disabled={more === undefined || exchanged.isPending || exchanged.isSuccess}
            onClick={() => exchanged.mutate()}
          >
            {t("exchange.yes")}
          </button>
        )}
      </section>
    </>
  );
}
