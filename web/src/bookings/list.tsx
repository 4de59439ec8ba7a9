/** The bookings of whoever is signed in. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useSession } from "../api/session";
import { Poster } from "../films/poster";
import { moment, money } from "../format";
import { useWords } from "../i18n";
import { cinemasQuery, filmQuery, showtimeQuery } from "../ui/queries";
import { Empty, Failure, Skeleton, showCurrent, useTitle } from "../ui/state";
import { AwayBookings, UNTIL_THERE, useKept } from "./away";
import { type Booking, bookingsQuery, type When } from "./queries";

const route = getRouteApi("/bookings");
const WHEN: When[] = ["upcoming", "past"];

export function BookingsPage() {
  const { when = "upcoming" } = route.useSearch();
  return (
    <BookingsFrame current={when} next="/bookings">
      <Bookings when={when} key={when} />
    </BookingsFrame>
  );
}

interface FrameProps {
  current: When | "series";
  /** Where to go on after signing in. */
  next: string;
  children: ReactNode;
}

/** What stands above all lists of bookings. */
export function BookingsFrame({ current, next, children }: FrameProps) {
  const { t } = useWords();
  const session = useSession();
  useTitle(t("bookings.title"));
  if (session.kind === "nobody") {
    return (
      <Empty title={t("bookings.title")} text={t("booking.goneText")}>
        <Link to="/sign-in" search={{ next }} className="button">
          {t("app.signIn")}
        </Link>
      </Empty>
    );
  }
  return (
    <>
      <header className="page-head">
        <h1>{t("bookings.title")}</h1>
      </header>
      <nav ref={showCurrent} className="days" aria-label={t("bookings.title")}>
        {WHEN.map((one) => (
          <Link
            key={one}
            to="/bookings"
            search={{ when: one }}
            replace
            className="chip"
            aria-current={one === current ? "page" : undefined}
          >
            {t(`bookings.${one}`)}
          </Link>
        ))}
        <Link
          to="/bookings/series"
          replace
          className="chip"
          aria-current={current === "series" ? "page" : undefined}
        >
          {t("bookings.series")}
        </Link>
      </nav>
      {children}
    </>
  );
}

function Bookings({ when }: { when: When }) {
  const { t } = useWords();
  const bookings = useInfiniteQuery({ ...bookingsQuery(when), ...UNTIL_THERE });
  const kept = useKept(bookings);
  if (kept !== null && kept.length > 0) return <AwayBookings tickets={kept} />;
  if (bookings.isError) return <Failure error={bookings.error} again={() => bookings.refetch()} />;
  if (bookings.data === undefined) return <Skeleton className="list-skeleton" />;
  const all = bookings.data.pages.flatMap((page) => page.data);
  if (all.length === 0) {
    return (
      <Empty title={t("bookings.none")} text={t("bookings.noneText")}>
        <Link to="/" className="button">
          {t("error.toFilms")}
        </Link>
      </Empty>
    );
  }
  return (
    <>
      <ul className="bookings">
        {all.map((booking) => (
          <BookingEntry key={booking.id} booking={booking} />
        ))}
      </ul>
      {bookings.hasNextPage && (
        <button
          type="button"
          className="button quiet"
          disabled={bookings.isFetchingNextPage}
          onClick={() => bookings.fetchNextPage()}
        >
          {t("bookings.more")}
        </button>
      )}
    </>
  );
}

export function BookingEntry({ booking }: { booking: Booking }) {
  const { t, language } = useWords();
  const { film, showtime, cinema } = useShow(booking.showtime_id);
  return (
    <li>
      <Link to="/bookings/$bookingId" params={{ bookingId: booking.id }} className="booking-card">
        {film ? <Poster film={film} /> : <Skeleton className="poster" />}
        <div>
          <h2>{film?.title ?? "…"}</h2>
          <p>
            {showtime && cinema && moment(cinema.time_zone, showtime.starts_at, language)}
            <br />
            {cinema?.name}
          </p>
          <p>
            {booking.seats.map((seat) => seat.label).join(", ")} · {money(booking.total, language)}
          </p>
          <p>
            <span className={`status ${booking.status}`}>{t(`booking.${booking.status}`)}</span>{" "}
            <code>{booking.code}</code>
          </p>
        </div>
      </Link>
    </li>
  );
}

/** The showtime of a booking, its film and its cinema, as far as they are known yet. */
export function useShow(showtimeId: string | undefined) {
  const showtime = useQuery({
    ...showtimeQuery(showtimeId ?? ""),
    enabled: showtimeId !== undefined,
  });
  const movieId = showtime.data?.movie_id;
  const film = useQuery({ ...filmQuery(movieId ?? ""), enabled: movieId !== undefined });
  const cinemas = useQuery(cinemasQuery);
  const cinema = cinemas.data?.find((one) => one.id === showtime.data?.cinema_id);
  return { showtime: showtime.data, film: film.data, cinema };
}
