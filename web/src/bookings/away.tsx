/** Bookings without a connection: what was looked at before is still there, as a ticket to show. */
import { queryOptions, type UseQueryResult, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { ApiError } from "../api/client";
import { useSession } from "../api/session";
import { moment } from "../format";
import { useWords } from "../i18n";
import { Ticket } from "./card";
import { dropTicket, type KeptTicket, keepTicket, keptTickets } from "./kept";
import { useShow } from "./list";
import { type Booking, codeQuery } from "./queries";

const AGAIN_MS = 5000;
const LATE_MS = 4000;

const isOffline = (error: unknown) => error instanceof ApiError && error.code === "OFFLINE";

/** For a question that is asked again by itself once there may be an answer. A refusal is one. */
export const UNTIL_THERE = {
  refetchInterval: ({ state }: { state: { data: unknown; error: Error | null } }) =>
    state.data === undefined && isOffline(state.error) ? AGAIN_MS : (false as const),
};

const keptQuery = queryOptions({
  queryKey: ["kept-tickets"],
  queryFn: () => keptTickets().catch(() => []),
  networkMode: "always",
  staleTime: 0,
  gcTime: 0,
});

type Asked = Pick<UseQueryResult, "data" | "fetchStatus" | "failureReason">;

/** What is kept here, while the server does not answer; null while it does, or nobody is signed in. */
export function useKept({ data, fetchStatus, failureReason }: Asked): KeptTicket[] | null {
  const { kind } = useSession();
  const isAsking = data === undefined;
  const [isLate, setLate] = useState(false);
  // A connection may be there and carry nothing: who stands at the door does not wait for it.
  useEffect(() => {
    setLate(false);
    if (!isAsking) return;
    const timer = setTimeout(() => setLate(true), LATE_MS);
    return () => clearTimeout(timer);
  }, [isAsking]);
  const isAway =
    isAsking &&
    (fetchStatus === "paused" ||
      isOffline(failureReason) ||
      (fetchStatus === "fetching" && isLate));
  const isMine = kind === "user" || kind === "unknown";
  const kept = useQuery({ ...keptQuery, enabled: isAway && isMine });
  return isAway && isMine ? (kept.data ?? null) : null;
}

/** Keeps what the page shows, and forgets what is no ticket any more. */
export function useKeeping(booking: Booking | undefined) {
  const session = useSession();
  const { data: picture } = useQuery({
    ...codeQuery(booking?.id ?? ""),
    enabled: booking?.status === "confirmed",
  });
  const { showtime, film, cinema } = useShow(booking?.showtime_id);
  const userId = session.kind === "user" ? session.user.id : null;
  useEffect(() => {
    if (booking === undefined || userId === null) return;
    const { id } = booking;
    if (booking.status === "cancelled" || booking.status === "refunded")
      void dropTicket(id).catch(() => undefined);
    else if (booking.status === "confirmed" && picture && showtime && film && cinema)
      void keepTicket({ id, userId, booking, showtime, film, cinema, picture }).catch(
        () => undefined,
      );
  }, [booking, picture, showtime, film, cinema, userId]);
}

export function AwayBooking({ ticket }: { ticket: KeptTicket }) {
  const { t } = useWords();
  return (
    <article className="booking">
      <header className="page-head">
        <h1>{t("booking.title")}</h1>
        <p role="status">{t("away.text")}</p>
      </header>
      <Ticket {...ticket}>
        <img className="qr" src={ticket.picture} alt={t("booking.qr")} />
      </Ticket>
    </article>
  );
}

export function AwayBookings({ tickets }: { tickets: KeptTicket[] }) {
  const { t, language } = useWords();
  return (
    <>
      <p role="status">{t("away.text")}</p>
      <ul className="rows panel">
        {tickets.map(({ id, booking, film, showtime, cinema }) => (
          <li key={id} className="row">
            <div>
              <Link to="/bookings/$bookingId" params={{ bookingId: id }} className="link">
                {film.title}
              </Link>
              <br />
              <small>
                {moment(cinema.time_zone, showtime.starts_at, language)} · {cinema.name} ·{" "}
                {booking.seats.map((seat) => seat.label).join(", ")}
              </small>
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}
