/** What a series costs, who pays for it and how: at once, for all of it. */
import { useMutation, useQueries, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { ApiError, api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import { useSession } from "../api/session";
import { useWays, WayField } from "../checkout/ways";
import { moment, money, sum } from "../format";
import { type Key, useWords } from "../i18n";
import { queueAddress } from "../seats/queue";
import { textOf } from "../ui/form";
import { Skeleton } from "../ui/state";
import { seriesQuery } from "./queries";
import type { SeriesShows } from "./seats";

const STORED = "cinema.series";

const REFUSED: Partial<Record<string, Key>> = {
  SEAT_UNAVAILABLE: "series.taken",
  ORPHAN_SEAT: "seats.orphan",
  CHANNEL_SOLD_OUT: "seats.channel",
  COMPANION_ONLY: "seats.companionOnly",
  HOLD_LIMIT: "seats.limit",
  SALES_CLOSED: "seats.closed",
  SALES_PAUSED: "seats.paused",
  QUEUE_REQUIRED: "series.queue",
  SERIES_ENDED: "series.ended",
};

/** One key for the same request until it is answered, also after a reload: it is booked once. */
function keyOf(body: unknown): string {
  const wanted = JSON.stringify(body);
  const [kept, key]: (string | undefined)[] = JSON.parse(sessionStorage.getItem(STORED) ?? "[]");
  if (kept === wanted && key !== undefined) return key;
  const made = newKey();
  sessionStorage.setItem(STORED, JSON.stringify([wanted, made]));
  return made;
}

function quoteQuery(showtimeId: string, seats: string[]) {
  const body = { showtime_id: showtimeId, seats, tickets: [] };
  return {
    queryKey: ["quote", body],
    queryFn: () => ask(api.POST("/api/v1/pricing/calculate", { body })),
    staleTime: 0,
    retry: (failures: number, error: Error) =>
      failures < 3 && error instanceof ApiError && error.isTransient,
  };
}

interface PayingProps extends SeriesShows {
  seats: string[];
  back: () => void;
}

export function Paying({ shows, films, cinema, seats, back }: PayingProps) {
  const { t, language } = useWords();
  const session = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const ways = useWays();
  // A card needs a payment that waits: a series is paid at once.
  const atOnce = ways.ways.filter((way) => way === "demo");
  const quotes = useQueries({ queries: shows.map((one) => quoteQuery(one.id, seats)) });
  const prices = quotes.flatMap((one) => one.data?.total ?? []);
  const total = prices.length === shows.length ? sum(prices) : null;
  const titleOf = ({ movie_id }: (typeof shows)[number]) =>
    films.find((film) => film.id === movie_id)?.title ?? "…";
  const whenOf = ({ starts_at }: (typeof shows)[number]) =>
    moment(cinema.time_zone, starts_at, language);
  const pay = useMutation({
    ...REPEATED,
    mutationFn: (method: string) => {
      const body: Schemas["SeriesInput"] = {
        showtime_ids: shows.map((one) => one.id),
        seats,
        payment: { method },
      };
      const params = { header: { "Idempotency-Key": keyOf(body) } };
      return ask(api.POST("/api/v1/series", { params, body }));
    },
    onSuccess: (made) => {
      sessionStorage.removeItem(STORED);
      queries.setQueryData(seriesQuery(made.id).queryKey, made);
      void queries.invalidateQueries({ queryKey: ["bookings"], refetchType: "none" });
      const params = { seriesId: made.id };
      void navigate({ to: "/series/$seriesId", params, search: { new: true }, replace: true });
    },
  });
  const refused = quotes.find((one) => one.error)?.error ?? pay.error;
  const refusal = refused instanceof ApiError ? REFUSED[refused.code] : undefined;
  const details = refused instanceof ApiError ? refused.details : {};
  const where = shows.find((one) => one.id === details.showtime_id);
  const labels = Array.isArray(details.seats) ? details.seats.join(", ") : "";
  const next = `${location.pathname}${location.search}`;
  const [way] = atOnce;
  return (
    <div className="panel series-pay">
      <h3>{t("checkout.summary")}</h3>
      {total === null && !refused ? (
        <Skeleton className="sum-skeleton" />
      ) : (
        <dl className="sum">
          {shows.map((one, n) => {
            const price = quotes[n]?.data?.total;
            return (
              <div key={one.id}>
                <dt>
                  {titleOf(one)}
                  <br />
                  <small>
                    {whenOf(one)} · {seats.join(", ")}
                  </small>
                </dt>
                <dd>{price && money(price, language)}</dd>
              </div>
            );
          })}
          <div className="total">
            <dt>{t("checkout.total")}</dt>
            <dd>{total && money(total, language)}</dd>
          </div>
        </dl>
      )}
      <p>
        <small>{t("series.notHeld")}</small>
      </p>
      {refused && (
        <p className="warning" role="alert">
          {where && `${titleOf(where)}, ${whenOf(where)}: `}
          {refusal ? t(refusal, { seats: labels }) : textOf(refused, t)}{" "}
          {where && refused instanceof ApiError && refused.code === "QUEUE_REQUIRED" && (
            <a href={queueAddress(where.id)} className="link">
              {t("queue.title")}
            </a>
          )}
        </p>
      )}
      <WayField {...ways} ways={atOnce} way={way} />
      <div className="actions">
        <button type="button" className="button quiet" onClick={back}>
          {t("series.otherSeats")}
        </button>
        {session.kind !== "user" ? (
          <Link to="/sign-in" search={{ next }} className="button">
            {t("series.signIn")}
          </Link>
        ) : way === undefined ? (
          <p className="warning">{t("checkout.noPayment")}</p>
        ) : (
          <button
            type="button"
            className="button"
            disabled={total === null || pay.isPending || pay.isSuccess}
            onClick={() => pay.mutate(way)}
          >
            {pay.isPending || pay.isSuccess
              ? t("checkout.paying")
              : t("checkout.pay", { amount: total ? money(total, language) : "…" })}
          </button>
        )}
      </div>
      {way === "demo" && session.kind === "user" && <small>{t("checkout.demo")}</small>}
    </div>
  );
}
