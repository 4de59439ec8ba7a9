/** A booking of somebody else: looked at, its tickets printed, mailed and issued again, given back. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, newKey, REPEATED, type Schemas, whole } from "../api/client";
import { Cancelling, type Ways } from "../bookings/cancelling";
import { moment, money } from "../format";
import { type Key, useWords } from "../i18n";
import { Form, Refusal } from "../ui/form";
import { Failure, Skeleton, useTitle } from "../ui/state";
import { StaffOnly } from "./door";
import { Printing } from "./sale";
import { type Managed, useBuyer, useZone } from "./search";

type Ticket = Schemas["Ticket"];

const route = getRouteApi("/staff/bookings/$bookingId");
const NOTE_CHARS_MOST = 1000;

export function FoundBookingPage() {
  const { t } = useWords();
  const { bookingId } = route.useParams();
  useTitle(t("find.one"));
  return (
    <StaffOnly>
      <Found key={bookingId} bookingId={bookingId} />
    </StaffOnly>
  );
}

function Found({ bookingId }: { bookingId: string }) {
  const { t } = useWords();
  const found = useQuery({
    queryKey: ["found-booking", bookingId],
    queryFn: () => {
      const params = { path: { booking_id: bookingId } };
      return ask(api.GET("/api/v1/admin/bookings/{booking_id}", { params }));
    },
    staleTime: 0,
  });
  if (found.isError) return <Failure error={found.error} again={() => found.refetch()} />;
  if (found.data === undefined) return <Skeleton className="checkout-skeleton" />;
  const { status } = found.data.booking;
  return (
    <>
      <header className="page-head">
        <h1>{t("find.one")}</h1>
        <Link to="/staff/bookings" className="link">
          {t("find.again")}
        </Link>
      </header>
      <div className="office">
        <div className="office-main">
          <Facts managed={found.data} />
          {status === "confirmed" && <Tickets bookingId={bookingId} />}
        </div>
        <div className="office-side">
          <Notes bookingId={bookingId} />
        </div>
      </div>
    </>
  );
}

function Facts({ managed }: { managed: Managed }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const { booking, showtime } = managed;
  const zone = useZone(showtime.cinema_id);
  const buyer = useBuyer(managed);
  const [isAsking, setAsking] = useState(false);
  const path = { booking_id: booking.id };
  const sent = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/admin/bookings/{booking_id}/resend", { params: { path } })),
  });
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
  const facts: [Key, string][] = [
    ["find.customer", buyer],
    ["booking.when", moment(zone, showtime.starts_at, language)],
    ["booking.where", `${showtime.cinema}, ${showtime.screen}`],
    ["booking.seats", booking.seats.map((seat) => seat.label).join(", ")],
    ["booking.paid", money(booking.total, language)],
  ];
  return (
    <section className="panel" aria-labelledby="booking">
      <h2 id="booking">
        <code>{booking.code}</code> {showtime.film}
      </h2>
      <p className="facts">
        <span className={`status ${booking.status}`}>{t(`booking.${booking.status}`)}</span>
        {booking.disputed && <span className="status bad">{t("find.disputed")}</span>}
      </p>
      <dl className="sum">
        {facts.map(([key, value]) => (
          <div key={key}>
            <dt>{t(key)}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <Refusal error={sent.error} />
      {sent.data && <p role="status">{t("find.sent", { email: sent.data.to })}</p>}
      <div className="actions">
        {booking.status === "confirmed" && (
          <>
            <Printing booking={booking} label={t("sale.again")} />
            <button
              type="button"
              className="button quiet"
              disabled={sent.isPending}
              onClick={() => sent.mutate()}
            >
              {t("find.send")}
            </button>
          </>
        )}
        {(booking.status === "confirmed" || booking.status === "pending") && (
          <button type="button" className="button danger" onClick={() => setAsking(true)}>
            {t("booking.cancel")}
          </button>
        )}
      </div>
      {isAsking && (
        <Cancelling
          booking={booking}
          ways={ways}
          done={() => {
            for (const key of ["found-booking", "found-tickets", "found-bookings"])
              void queries.invalidateQueries({ queryKey: [key] });
          }}
          close={() => setAsking(false)}
        />
      )}
    </section>
  );
}

function Tickets({ bookingId }: { bookingId: string }) {
  const { t } = useWords();
  const tickets = useQuery({
    queryKey: ["found-tickets", bookingId],
    queryFn: () => {
      const query = { booking_id: bookingId, limit: 100 };
      return ask(api.GET("/api/v1/tickets", { params: { query } }));
    },
    staleTime: 0,
  });
  // Those of seats that were given back have no code any more.
  const current = tickets.data?.filter((one) => one.token !== null);
  return (
    <section className="panel" aria-labelledby="tickets">
      <h2 id="tickets">{t("checkout.tickets")}</h2>
      <Refusal error={tickets.error} />
      <ul className="rows">
        {current?.map((one) => (
          <TicketRow key={one.id} ticket={one} />
        ))}
      </ul>
    </section>
  );
}

function TicketRow({ ticket }: { ticket: Ticket }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const issued = useMutation({
    mutationFn: () => {
      const params = { path: { ticket_id: ticket.id } };
      return ask(api.POST("/api/v1/tickets/{ticket_id}/reissue", { params }));
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["found-tickets", ticket.booking_id] }),
  });
  return (
    <li className="row">
      <div>
        <strong>{ticket.seat}</strong> <small>{ticket.type}</small>
        {ticket.used_at && <span className="status">{t("find.inside")}</span>}
        {ticket.blocked && <span className="status bad">{t("find.blocked")}</span>}
        {issued.isSuccess && <p role="status">{t("find.reissued")}</p>}
        <Refusal error={issued.error} />
      </div>
      {ticket.token !== null && (
        <button
          type="button"
          className="button quiet"
          disabled={issued.isPending}
          onClick={() => issued.mutate()}
          aria-label={`${t("find.reissue")}: ${ticket.seat}`}
        >
          {t("find.reissue")}
        </button>
      )}
    </li>
  );
}

function Notes({ bookingId }: { bookingId: string }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const path = { booking_id: bookingId };
  const notes = useInfiniteQuery({
    queryKey: ["notes", bookingId],
    queryFn: ({ pageParam }) => {
      const params = { path, query: { limit: 20, cursor: pageParam ?? undefined } };
      return whole(api.GET("/api/v1/admin/bookings/{booking_id}/notes", { params }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
    staleTime: 0,
  });
  const added = useMutation({
    ...REPEATED,
    mutationFn: ({ text, key }: { text: string; key: string }) => {
      const params = { path, header: { "Idempotency-Key": key } };
      return ask(api.POST("/api/v1/admin/bookings/{booking_id}/notes", { params, body: { text } }));
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ["notes", bookingId] }),
  });
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <section className="panel" aria-labelledby="notes">
      <h2 id="notes">{t("find.notes")}</h2>
      <Form
        submit={({ text = "" }, form) =>
          added.mutate({ text, key: newKey() }, { onSuccess: () => form.reset() })
        }
        isBusy={added.isPending}
        error={added.error}
        action={t("find.addNote")}
        quiet
      >
        <label className="field">
          <span>{t("till.note")}</span>
          <textarea name="text" rows={3} required maxLength={NOTE_CHARS_MOST} />
          <small>{t("find.noteText")}</small>
        </label>
      </Form>
      <Refusal error={notes.error} />
      <ul className="rows">
        {notes.data?.pages
          .flatMap((page) => page.data)
          .map((one) => (
            <li key={one.id}>
              <p className="said">{one.text}</p>
              <small>
                {[one.author, moment(zone, one.written_at, language)].filter(Boolean).join(" · ")}
              </small>
            </li>
          ))}
      </ul>
      {notes.hasNextPage && (
        <button type="button" className="button quiet" onClick={() => notes.fetchNextPage()}>
          {t("bookings.more")}
        </button>
      )}
    </section>
  );
}
