/** One sale: how many or which seats, which tickets, and the money. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { api, ask, newKey, REPEATED, type Schemas, whole } from "../api/client";
import type { Booking } from "../bookings/queries";
import { Countdown } from "../checkout/countdown";
import { clock, minorOf, money } from "../format";
import { useWords } from "../i18n";
import { gridOf } from "../seats/grid";
import { extendHold, type Hold } from "../seats/holds";
import { SeatMap } from "../seats/map";
import { watchSeats } from "../seats/socket";
import { SeatStore } from "../seats/store";
import { Refusal } from "../ui/form";
import { save } from "../ui/links";
import { showtimeQuery, ticketTypesQuery } from "../ui/queries";
import { Skeleton } from "../ui/state";
import type { Show } from "./shows";

const ADULT = "adult";
const QUANTITY_MOST = 10;
const TENDERS = ["cash", "terminal"] as const;

export interface Sold {
  booking: Booking;
  show: Show;
  zone: string;
}

interface SaleProps {
  show: Show;
  zone: string;
  sold: (sold: Sold) => void;
  leave: () => void;
}

export function Sale({ show, zone, sold, leave }: SaleProps) {
  const { language } = useWords();
  const [hold, setHold] = useState<Hold | null>(null);
  const [done, setDone] = useState<Booking | null>(null);
  return (
    <section className="panel sale" aria-labelledby="sale">
      <h2 id="sale">
        {clock(zone, show.starts_at, language)} {show.movie_title}
      </h2>
      {done ? (
        <Done booking={done} next={leave} />
      ) : hold ? (
        <Money
          hold={hold}
          change={setHold}
          paid={(booking) => {
            setDone(booking);
            sold({ booking, show, zone });
          }}
        />
      ) : (
        <Seats show={show} held={setHold} leave={leave} />
      )}
    </section>
  );
}

interface SeatsProps {
  show: Show;
  held: (hold: Hold) => void;
  leave: () => void;
}

function Seats({ show, held, leave }: SeatsProps) {
  const { t } = useWords();
  const [isMap, setMap] = useState(false);
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => first.current?.focus(), []);
  const hold = useMutation({
    ...REPEATED,
    mutationFn: ({ key, ...body }: { key: string } & Schemas["HoldInput"]) => {
      const params = { path: { showtime_id: show.id }, header: { "Idempotency-Key": key } };
      return ask(api.POST("/api/v1/showtimes/{showtime_id}/holds", { params, body }));
    },
    onSuccess: held,
  });
  return (
    <>
      <p id="how-many">{t("sale.howMany")}</p>
      <fieldset className="keys" aria-labelledby="how-many">
        {Array.from({ length: QUANTITY_MOST }, (_, n) => n + 1).map((quantity) => (
          <button
            key={quantity}
            ref={quantity === 1 ? first : undefined}
            type="button"
            className="button quiet"
            disabled={hold.isPending}
            onClick={() => hold.mutate({ key: newKey(), best_available: { quantity } })}
          >
            {quantity}
          </button>
        ))}
      </fieldset>
      <Refusal error={hold.error} />
      <div className="actions">
        <button
          type="button"
          className="button quiet"
          aria-expanded={isMap}
          onClick={() => setMap(!isMap)}
        >
          {t("seats.map")}
        </button>
        <button type="button" className="button quiet" onClick={leave}>
          {t("app.back")}
        </button>
      </div>
      {isMap && (
        <MapChoice
          show={show}
          isBusy={hold.isPending}
          take={(seats) => hold.mutate({ key: newKey(), seats })}
        />
      )}
    </>
  );
}

interface MapChoiceProps {
  show: Show;
  isBusy: boolean;
  take: (seats: string[]) => void;
}

function MapChoice({ show, isBusy, take }: MapChoiceProps) {
  const seats = useQuery({
    queryKey: ["seats", show.id],
    queryFn: () => {
      const params = { path: { showtime_id: show.id } };
      return ask(api.GET("/api/v1/showtimes/{showtime_id}/seats", { params }));
    },
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const version = seats.data?.layout_version;
  const layout = useQuery({
    queryKey: ["layout", show.screen_id, version],
    queryFn: () => {
      const params = { path: { screen_id: show.screen_id }, query: { version } };
      return ask(api.GET("/api/v1/screens/{screen_id}/layout", { params }));
    },
    enabled: version !== undefined,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (seats.isError) return <Refusal error={seats.error} />;
  if (seats.data === undefined || layout.isPending) return <Skeleton className="map-skeleton" />;
  return (
    <LiveMap seats={seats.data} layout={layout.data?.layout ?? null} isBusy={isBusy} take={take} />
  );
}

interface LiveMapProps {
  seats: Schemas["SeatMap"];
  layout: Schemas["Layout"] | null;
  isBusy: boolean;
  take: (seats: string[]) => void;
}

function LiveMap({ seats, layout, isBusy, take }: LiveMapProps) {
  const { t } = useWords();
  const grid = useMemo(() => gridOf(seats.seats, layout), [seats, layout]);
  const [store] = useState(() => new SeatStore(seats.seats, seats.epoch, seats.seq));
  const { chosen } = useSyncExternalStore(store.watch, store.seen);
  useEffect(() => watchSeats(store, seats.showtime_id), [store, seats.showtime_id]);
  const toggle = useCallback((label: string) => void store.toggle(label), [store]);
  return (
    <>
      <SeatMap grid={grid} store={store} toggle={toggle} />
      <button
        type="button"
        className="button"
        disabled={chosen.length === 0 || isBusy}
        onClick={() => take([...chosen])}
      >
        {t("sale.take", { seats: chosen.join(", ") || "…" })}
      </button>
    </>
  );
}

interface MoneyProps {
  hold: Hold;
  change: (hold: Hold | null) => void;
  paid: (booking: Booking) => void;
}

function Money({ hold, change, paid }: MoneyProps) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const showtime = useQuery(showtimeQuery(hold.showtime_id));
  const cinemaId = showtime.data?.cinema_id;
  const types = useQuery({
    ...ticketTypesQuery(cinemaId ?? ""),
    enabled: cinemaId !== undefined,
  });
  const [chosen, setChosen] = useState<Record<string, string>>({});
  const [received, setReceived] = useState("");
  const first = useRef<HTMLButtonElement>(null);
  const seats = hold.seats.map((one) => one.label);
  const tickets = seats.flatMap((seat) => {
    const type = chosen[seat];
    return type === undefined || type === ADULT ? [] : [{ seat, type }];
  });
  const body = { showtime_id: hold.showtime_id, seats, tickets, channel: "counter" as const };
  const quote = useQuery({
    queryKey: ["quote", body],
    queryFn: () => ask(api.POST("/api/v1/pricing/calculate", { body })),
    placeholderData: (before: Schemas["Quote"] | undefined) => before,
  });
  const total = quote.data?.total;
  const isReady = total !== undefined;
  useEffect(() => {
    if (isReady) first.current?.focus();
  }, [isReady]);
  const sold = useMutation({
    ...REPEATED,
    mutationFn: (tender: (typeof TENDERS)[number]) => {
      const { showtime_id, hold_id } = hold;
      const params = { header: { "Idempotency-Key": `sell-${hold_id}` } };
      const payment = { method: "counter", tender };
      return ask(
        api.POST("/api/v1/bookings", {
          params,
          body: { showtime_id, hold_id, payment, tickets },
        }),
      );
    },
    onSuccess: paid,
  });
  const path = { showtime_id: hold.showtime_id, hold_id: hold.hold_id };
  const address = "/api/v1/showtimes/{showtime_id}/holds/{hold_id}";
  const released = useMutation({
    ...REPEATED,
    mutationFn: () => {
      const header = { "Idempotency-Key": `release-${hold.hold_id}` };
      return ask(api.DELETE(address, { params: { path, header } }));
    },
    onSettled: () => change(null),
  });
  const extended = useMutation({ mutationFn: () => extendHold(hold), onSuccess: change });
  const look = async () => {
    const now = await ask(api.GET(address, { params: { path } })).catch(() => null);
    if (now && now.status !== "active" && now.status !== "booked") change(null);
    void queries.invalidateQueries({ queryKey: ["seats", hold.showtime_id] });
  };
  const given = total && minorOf(received, total.currency);
  const back = total && given != null ? given - total.amount : null;
  return (
    <>
      <Countdown
        expiresAt={hold.expires_at}
        over={() => void look()}
        extend={() => extended.mutate()}
        isExtending={extended.isPending}
      />
      <ul className="tickets">
        {seats.map((seat) => (
          <li key={seat}>
            <label>
              <span className="seat-name">{seat}</span>
              <span className="unseen">{t("checkout.ticketFor", { seat })}</span>
              <select
                value={chosen[seat] ?? ADULT}
                onChange={(event) =>
                  setChosen((before) => ({ ...before, [seat]: event.target.value }))
                }
              >
                {!types.data && <option value={ADULT}>…</option>}
                {types.data?.map((one) => (
                  <option key={one.code} value={one.code}>
                    {one.name}
                  </option>
                ))}
              </select>
            </label>
            <span className="price">
              {quote.data?.seats
                .filter((one) => one.seat === seat)
                .map((one) => money(one.price, language))}
            </span>
          </li>
        ))}
      </ul>
      <p className="sale-total" role="status">
        {t("checkout.total")} <strong>{total ? money(total, language) : "…"}</strong>
      </p>
      <Refusal error={quote.error ?? sold.error} />
      <div className="keys">
        {TENDERS.map((tender) => (
          <button
            key={tender}
            ref={tender === "cash" ? first : undefined}
            type="button"
            className="button"
            disabled={!isReady || quote.isError || sold.isPending || sold.isSuccess}
            onClick={() => sold.mutate(tender)}
          >
            {t(`sale.${tender}`)}
          </button>
        ))}
        <button
          type="button"
          className="button quiet"
          disabled={released.isPending || sold.isPending}
          onClick={() => released.mutate()}
        >
          {t("seats.giveBack")}
        </button>
      </div>
      <label className="field">
        <span>{t("sale.received")}</span>
        <input
          inputMode="decimal"
          autoComplete="off"
          maxLength={12}
          value={received}
          onChange={(event) => setReceived(event.target.value)}
        />
      </label>
      {back !== null && total && (
        <p role="status">
          {back < 0
            ? t("sale.missing", { amount: money({ ...total, amount: -back }, language) })
            : t("sale.change", { amount: money({ ...total, amount: back }, language) })}
        </p>
      )}
    </>
  );
}

function Done({ booking, next }: { booking: Booking; next: () => void }) {
  const { t, language } = useWords();
  const onward = useRef<HTMLButtonElement>(null);
  useEffect(() => onward.current?.focus(), []);
  return (
    <>
      <p role="status">
        {t("sale.done", {
          seats: booking.seats.map((seat) => seat.label).join(", "),
          amount: money(booking.total, language),
        })}
      </p>
      <p className="sale-total">
        <code>{booking.code}</code>
      </p>
      <div className="keys">
        <button ref={onward} type="button" className="button" onClick={next}>
          {t("sale.next")}
        </button>
        <Printing booking={booking} label={t("sale.print")} />
      </div>
    </>
  );
}

/** The tickets as a PDF, as often as the paper jams. */
export function Printing({ booking, label }: { booking: Booking; label: string }) {
  const { language } = useWords();
  const printed = useMutation({
    mutationFn: async () => {
      const params = { path: { booking_id: booking.id }, query: { language } };
      const call = api.GET("/api/v1/bookings/{booking_id}/tickets.pdf", {
        params,
        parseAs: "blob",
      });
      save((await whole(call)) as unknown as Blob, `${booking.code}.pdf`);
    },
  });
  return (
    <>
      <button
        type="button"
        className="button quiet"
        disabled={printed.isPending}
        onClick={() => printed.mutate()}
        aria-label={`${label}: ${booking.code}`}
      >
        {label}
      </button>
      <Refusal error={printed.error} />
    </>
  );
}
