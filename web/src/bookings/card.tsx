/** A booking as the ticket that it is: film, time, place, seats, and what to show at the entrance. */
import type { ReactNode } from "react";
import { Poster } from "../films/poster";
import { moment, money } from "../format";
import { useWords } from "../i18n";
import type { Cinema, Movie, Showtime } from "../ui/queries";
import { Skeleton } from "../ui/state";
import { useShow } from "./list";
import type { Booking } from "./queries";

export function BookingCard({ booking, children }: { booking: Booking; children?: ReactNode }) {
  return (
    <Ticket booking={booking} {...useShow(booking.showtime_id)}>
      {children}
    </Ticket>
  );
}

interface TicketProps {
  booking: Booking;
  showtime: Showtime | undefined;
  film: Movie | undefined;
  cinema: Cinema | undefined;
  children?: ReactNode;
}

export function Ticket({ booking, showtime, film, cinema, children }: TicketProps) {
  const { t, language } = useWords();
  const { code, seats, total, status } = booking;
  return (
    <div className="ticket">
      {film ? <Poster film={film} eager /> : <Skeleton className="poster" />}
      <div className="ticket-text">
        <h2>{film?.title}</h2>
        <dl>
          <div>
            <dt>{t("booking.when")}</dt>
            <dd>{showtime && cinema && moment(cinema.time_zone, showtime.starts_at, language)}</dd>
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
        {children}
        <p>{t("booking.code")}</p>
        <code>{code}</code>
        {status === "confirmed" && <p>{t("booking.show")}</p>}
      </div>
    </div>
  );
}
