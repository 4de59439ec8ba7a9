/** Choosing seats: chosen here, held once, all or nothing, on Continue. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import {
  useCallback,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { ApiError, api, ask, newKey, REPEATED, type Schemas, serverNow } from "../api/client";
import { useSession } from "../api/session";
import { moment, money, sum } from "../format";
import { useVisit } from "../foryou/events";
import { type Key, useWords, type Words } from "../i18n";
import { cinemasQuery, filmQuery, layoutQuery, showtimeQuery } from "../ui/queries";
import { Failure, keyOf, Skeleton, useTitle } from "../ui/state";
import { areApart, gridOf } from "./grid";
import { enter, giveBack, type Hold, holdQuery, placeHold, type Wish } from "./holds";
import { keep, keptAt } from "./kept";
import { Legend, SEATS_MOST, SeatList, SeatMap } from "./map";
import { placeIn, queueAddress } from "./queue";
import { watchSeats } from "./socket";
import { SeatStore } from "./store";
import { Waiting } from "./waiting";

const route = getRouteApi("/showtimes/$showtimeId");

export function SeatsPage() {
  const { showtimeId } = route.useParams();
  const { t } = useWords();
  const showtime = useQuery(showtimeQuery(showtimeId));
  const seats = useQuery({
    queryKey: ["seats", showtimeId],
    queryFn: () => {
      const path = { showtime_id: showtimeId };
      return ask(api.GET("/api/v1/showtimes/{showtime_id}/seats", { params: { path } }));
    },
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
  const screenId = showtime.data?.screen_id;
  const version = seats.data?.layout_version;
  const layout = useQuery({
    ...layoutQuery(screenId ?? "", version),
    enabled: screenId !== undefined && version !== undefined,
  });
  useTitle(t("seats.title"));
  useVisit("seat_map", seats.data && showtime.data);

  const failed = showtime.error ?? seats.error;
  if (failed) {
    return (
      <Failure
        error={failed}
        again={() => void Promise.all([showtime.refetch(), seats.refetch()])}
      />
    );
  }
  return (
    <div className="seats-page">
      <Heading showtime={showtime.data} title={t("seats.title")} />
      {seats.data === undefined || layout.isPending ? (
        <Skeleton className="map-skeleton" />
      ) : (
        <Choosing
          key={showtimeId}
          seats={seats.data}
          layout={layout.data?.layout ?? null}
          opensAt={showtime.data?.sales.opens_at}
        />
      )}
    </div>
  );
}

/** Which film, when and where; above seats and above the checkout. */
export function Heading({
  showtime,
  title,
}: {
  showtime: Schemas["Showtime"] | undefined;
  title: string;
}) {
  const { t, language } = useWords();
  const film = useQuery({
    ...filmQuery(showtime?.movie_id ?? ""),
    enabled: showtime !== undefined,
  });
  const cinemas = useQuery(cinemasQuery);
  const cinema = cinemas.data?.find((one) => one.id === showtime?.cinema_id);
  return (
    <header className="page-head">
      {showtime && (
        <Link to="/films/$filmId" params={{ filmId: showtime.movie_id }} className="link">
          ← {film.data?.title ?? t("app.back")}
        </Link>
      )}
      <h1>{title}</h1>
      <p>
        {showtime && cinema ? (
          `${moment(cinema.time_zone, showtime.starts_at, language)} · ${cinema.name}, ${cinema.city}`
        ) : (
          <span className="line-skeleton" />
        )}
      </p>
    </header>
  );
}

const PRESALE: Partial<Record<string, Key>> = {
  not_yet: "presale.notYet",
  used_up: "presale.usedUp",
  used_by_you: "presale.usedByYou",
};

/** What a refusal of a hold means, for a person. */
function refusalText(error: Error, { t }: Words): string {
  if (!(error instanceof ApiError)) return t(keyOf(error));
  const seats = Array.isArray(error.details.seats) ? error.details.seats.join(", ") : "";
  const texts: Partial<Record<string, Key>> = {
    SEAT_UNAVAILABLE: "seats.lost",
    ORPHAN_SEAT: "seats.orphan",
    CHANNEL_SOLD_OUT: "seats.channel",
    COMPANION_ONLY: "seats.companionOnly",
    NOT_ENOUGH_SEATS: "seats.noBest",
    HOLD_LIMIT: "seats.limit",
    SALES_CLOSED: "seats.closed",
    SALES_PAUSED: "seats.paused",
    PRESALE_CODE_REFUSED: PRESALE[String(error.details.reason)] ?? "presale.unknown",
    QUEUE_NOT_YET: "seats.queueOver",
    QUEUE_PLACE_ENDED: "seats.queueOver",
  };
  return t(texts[error.code] ?? keyOf(error), { seats });
}

/** Whoever comes from the waiting room goes in at once, and the address forgets the place. */
function useEntry(showtimeId: string, failed: (error: Error) => void) {
  const [place] = useState(() => placeIn(location.hash));
  const fail = useRef(failed);
  fail.current = failed;
  useEffect(() => {
    if (place === null) return;
    history.replaceState(history.state, "", location.pathname + location.search);
    enter(showtimeId, place).catch((error: Error) => fail.current(error));
  }, [showtimeId, place]);
}

interface ChoosingProps {
  seats: Schemas["SeatMap"];
  layout: Schemas["Layout"] | null;
  opensAt: string | undefined;
}

function Choosing({ seats, layout, opensAt }: ChoosingProps) {
  const words = useWords();
  const { t, many, language } = words;
  const { showtime_id: showtimeId } = seats;
  const navigate = useNavigate();
  const queries = useQueryClient();
  const session = useSession();
  const grid = useMemo(() => gridOf(seats.seats, layout), [seats, layout]);
  const [store] = useState(() => new SeatStore(seats.seats, seats.epoch, seats.seq));
  const { exchange } = route.useSearch();
  const [isShort, setShort] = useState(false);
  const { chosen, lost, line, isSoldOut } = useSyncExternalStore(store.watch, store.seen);
  const [note, setNote] = useState("");
  const [code, setCode] = useState("");
  const isBefore = opensAt !== undefined && Date.parse(opensAt) > serverNow();
  const presale = isBefore && code.trim() !== "" ? { presale_code: code.trim() } : {};
  const [holdId, setHoldId] = useState(() => keptAt(showtimeId));
  const prices = useMemo(() => new Map(seats.seats.map((one) => [one.label, one.price])), [seats]);

  useEffect(() => watchSeats(store, showtimeId), [store, showtimeId]);
  useEntry(showtimeId, (error) => setNote(refusalText(error, words)));

  const known = useQuery({
    ...holdQuery(showtimeId, holdId ?? ""),
    enabled: holdId !== null && session.kind !== "nobody",
  });
  const kept = holdId !== null && known.data?.status === "active" ? known.data : null;

  const toggle = useCallback(
    (label: string) => {
      if (!store.isChosen(label) && store.seen().chosen.length >= SEATS_MOST) {
        setNote(t("seats.most", { n: SEATS_MOST }));
        return;
      }
      setNote("");
      store.toggle(label);
    },
    [store, t],
  );

  const hold = useMutation({
    ...REPEATED,
    mutationFn: (wish: Wish) => placeHold(showtimeId, wish),
    onMutate: (wish) => store.ask("seats" in wish ? wish.seats : []),
    onSuccess: (held: Hold, wish) => {
      queries.setQueryData(holdQuery(showtimeId, held.hold_id).queryKey, held);
      store.granted(held.seats.map((seat) => seat.label));
      setShort(false);
      // Other seats instead: the former ones are for sale again.
      if (kept !== null) giveBack(kept).catch(() => undefined);
      if (!("seats" in wish)) setHoldId(held.hold_id);
      else if (exchange === undefined)
        void navigate({ to: "/showtimes/$showtimeId/checkout", params: { showtimeId } });
      else {
        const params = { bookingId: exchange };
        void navigate({
          to: "/bookings/$bookingId/exchange",
          params,
          search: { showtime: showtimeId },
        });
      }
    },
    onError: (error) => {
      store.refused();
      if (error instanceof ApiError && error.code === "QUEUE_REQUIRED") {
        location.assign(queueAddress(showtimeId));
        return;
      }
      setNote(refusalText(error, words));
      setShort(error instanceof ApiError && error.code === "NOT_ENOUGH_SEATS");
      if (error instanceof ApiError && error.code === "SEAT_UNAVAILABLE")
        store.lose((error.details.seats as string[] | undefined) ?? []);
    },
  });
  const release = useMutation({
    mutationFn: giveBack,
    onSettled: () => {
      keep(null);
      setHoldId(null);
    },
  });

  const total = sum(chosen.flatMap((label) => prices.get(label) ?? []));
  const isApart = chosen.length > 1 && areApart(grid, chosen);
  const lostText = lost.length > 0 ? t("seats.lost", { seats: lost.join(", ") }) : "";
  return (
    <>
      <Waiting showtimeId={showtimeId} isWanted={kept === null && (isSoldOut || isShort)} />
      {isBefore && (
        <section className="panel" aria-labelledby="presale">
          <h2 id="presale">{t("presale.before")}</h2>
          <label className="field">
            <span>{t("presale.yours")}</span>
            <input
              value={code}
              autoComplete="off"
              maxLength={64}
              onChange={(event) => setCode(event.target.value)}
            />
            <small>{t("presale.yoursHint")}</small>
          </label>
        </section>
      )}
      <BestSeats
        isBusy={hold.isPending}
        find={(quantity) =>
          hold.mutate({ key: newKey(), best_available: { quantity }, ...presale })
        }
      />
      <p className={`line ${line}`} role="status">
        {t(
          line === "live" ? "seats.live" : line === "lost" ? "seats.lostLine" : "seats.connecting",
        )}
      </p>
      <SeatMap grid={grid} store={store} toggle={toggle} />
      <Legend />
      <SeatList grid={grid} store={store} toggle={toggle} />
      <div className="tray">
        <div className="tray-notes" role="alert">
          {lostText && <p className="warning">{lostText}</p>}
          {note && <p className="warning">{note}</p>}
        </div>
        {kept && chosen.length === 0 ? (
          <>
            <p className="tray-text">
              {t("seats.kept", { seats: kept.seats.map((one) => one.label).join(", ") })}{" "}
              <strong>{money(kept.total, language)}</strong>
            </p>
            <button type="button" className="button quiet" onClick={() => release.mutate(kept)}>
              {t("seats.giveBack")}
            </button>
            {exchange === undefined ? (
              <Link to="/showtimes/$showtimeId/checkout" params={{ showtimeId }} className="button">
                {t("seats.toCheckout")}
              </Link>
            ) : (
              <Link
                to="/bookings/$bookingId/exchange"
                params={{ bookingId: exchange }}
                search={{ showtime: showtimeId }}
                className="button"
              >
                {t("seats.toExchange")}
              </Link>
            )}
          </>
        ) : (
          <>
            <p className="tray-text">
              {chosen.length === 0 ? (
                t("seats.choose")
              ) : (
                <>
                  {many("seats.chosen", chosen.length)}: {chosen.join(", ")}{" "}
                  <strong>{total && money(total, language)}</strong>
                  {isApart && <small> {t("seats.apart")}</small>}
                </>
              )}
            </p>
            <button
              type="button"
              className="button"
              disabled={chosen.length === 0 || hold.isPending || line !== "live"}
              onClick={() => hold.mutate({ key: newKey(), seats: [...chosen], ...presale })}
            >
              {t(hold.isPending ? "seats.holding" : "seats.continue")}
            </button>
          </>
        )}
      </div>
    </>
  );
}

function BestSeats({ find, isBusy }: { find: (quantity: number) => void; isBusy: boolean }) {
  const { t } = useWords();
  const [quantity, setQuantity] = useState(2);
  const id = useId();
  return (
    <form
      className="best"
      onSubmit={(event) => {
        event.preventDefault();
        find(quantity);
      }}
    >
      <label htmlFor={id}>{t("seats.howMany")}</label>
      <select
        id={id}
        value={quantity}
        onChange={(event) => setQuantity(Number(event.target.value))}
      >
        {Array.from({ length: SEATS_MOST }, (_, n) => n + 1).map((n) => (
          <option key={n}>{n}</option>
        ))}
      </select>
      <button type="submit" className="button quiet" disabled={isBusy}>
        {t("seats.best")}
      </button>
    </form>
  );
}
