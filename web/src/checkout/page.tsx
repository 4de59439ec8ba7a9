/** From held seats to a booking: who, which tickets, the price, and paying once. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type FormEvent, lazy, Suspense, useState } from "react";
import { ApiError, api, ask, REPEATED, type Schemas } from "../api/client";
import { useSession } from "../api/session";
import { money } from "../format";
import { useVisit } from "../foryou/events";
import { useWords } from "../i18n";
import { extendHold, type Hold, holdQuery } from "../seats/holds";
import { keptAt } from "../seats/kept";
import { Heading } from "../seats/page";
import { pointsQuery, showtimeQuery, ticketTypesQuery } from "../ui/queries";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { BillingFields, billingOf } from "./billing";
import { useBooked } from "./booked";
import { type Card, GiftCardField } from "./card";
import { Countdown } from "./countdown";
import { type Parts, partsOf } from "./parts";
import { Landed, payRest, Rest, refusal } from "./rest";
import { useWays, WayField } from "./ways";

const Returned = lazy(() => import("./stripe").then((stripe) => ({ default: stripe.Returned })));

const route = getRouteApi("/showtimes/$showtimeId/checkout");
const ADULT = "adult";

type TicketType = Schemas["TicketType"];
type Quote = Schemas["Quote"];

interface Who {
  email: string | undefined;
  billing: Schemas["Billing"] | undefined;
}

export function CheckoutPage() {
  const { showtimeId } = route.useParams();
  const { payment_intent_client_secret: secret } = route.useSearch();
  const { t } = useWords();
  const session = useSession();
  const { stripeKey } = useWays();
  const [holdId] = useState(() => keptAt(showtimeId));
  const showtime = useQuery(showtimeQuery(showtimeId));
  const isKnown = session.kind === "user" || session.kind === "guest";
  const hold = useQuery({
    ...holdQuery(showtimeId, holdId ?? ""),
    enabled: holdId !== null && session.kind !== "nobody",
  });
  useTitle(t("checkout.title"));
  useVisit("checkout_start", hold.data?.status === "active" ? showtime.data : undefined);

  // A guest's token is in memory alone, so a page that is loaded anew no longer knows the guest.
  const isForgotten = holdId !== null && session.kind === "nobody";
  if (secret !== undefined && stripeKey !== "" && (isForgotten || holdId === null)) {
    return (
      <Suspense fallback={<Skeleton className="checkout-skeleton" />}>
        <Returned stripeKey={stripeKey} secret={secret} />
      </Suspense>
    );
  }
  const isGone =
    isForgotten || holdId === null || (hold.error instanceof ApiError && hold.error.status === 404);
  if (isGone || hold.data?.status === "expired" || hold.data?.status === "released") {
    return (
      <Empty
        title={t(isForgotten ? "checkout.forgotten" : "checkout.expired")}
        text={t(isForgotten ? "checkout.forgottenText" : "checkout.expiredText")}
      >
        <Link to="/showtimes/$showtimeId" params={{ showtimeId }} className="button">
          {t("checkout.again")}
        </Link>
      </Empty>
    );
  }
  if (hold.data?.status === "booked") return <Landed hold={hold.data} />;
  if (hold.error) return <Failure error={hold.error} again={() => hold.refetch()} />;
  return (
    <div className="checkout">
      <Heading showtime={showtime.data} title={t("checkout.title")} />
      {hold.data === undefined || showtime.data === undefined || !isKnown ? (
        <Skeleton className="checkout-skeleton" />
      ) : hold.data.status === "paying" ? (
        <Rest hold={hold.data} />
      ) : (
        <Paying hold={hold.data} cinemaId={showtime.data.cinema_id} />
      )}
    </div>
  );
}

function Paying({ hold, cinemaId }: { hold: Hold; cinemaId: string }) {
  const { t, language } = useWords();
  const session = useSession();
  const queries = useQueryClient();
  const booked = useBooked();
  const types = useQuery(ticketTypesQuery(cinemaId));
  const ways = useWays();
  const [chosen, setChosen] = useState<Record<string, string>>({});
  const [promo, setPromo] = useState("");
  const [card, setCard] = useState<Card | null>(null);
  const [usesPoints, setUsesPoints] = useState(false);
  const points = useQuery({ ...pointsQuery, enabled: session.kind === "user" });
  const { queryKey } = holdQuery(hold.showtime_id, hold.hold_id);

  const seats = hold.seats.map((one) => one.label);
  const tickets = seats.flatMap((seat) => {
    const type = chosen[seat];
    return type === undefined || type === ADULT ? [] : [{ seat, type }];
  });
  // A hold has the prices of its moment; while one of its payments is under way nobody asks for it.
  const what = hold.status === "active" ? { hold_id: hold.hold_id } : { seats };
  const body = { showtime_id: hold.showtime_id, ...what, tickets, promo_code: promo || undefined };
  const quote = useQuery({
    queryKey: ["quote", body],
    queryFn: () => ask(api.POST("/api/v1/pricing/calculate", { body })),
    placeholderData: (before: Quote | undefined) => before,
    retry: (failures, error) => failures < 3 && error instanceof ApiError && error.isTransient,
  });
  const total = quote.data?.total;
  const worth = points.data?.balances.find((one) => one.worth.currency === total?.currency)?.worth;
  const parts = partsOf(total?.amount ?? 0, usesPoints ? worth : undefined, card?.balance);
  const methods: Schemas["PaymentInput"][] = [
    ...(parts.points > 0 ? [{ method: "points" }] : []),
    ...(card !== null && parts.card > 0 ? [{ method: "gift_card", code: card.code }] : []),
    ...(parts.rest > 0 && ways.way ? [{ method: ways.way }] : []),
  ];
  const isByCard = ways.way === "stripe" && parts.rest > 0;
  const extended = useMutation({
    mutationFn: () => extendHold(hold),
    onSuccess: (longer) => queries.setQueryData(queryKey, longer),
    onError: () => queries.invalidateQueries({ queryKey }),
  });
  const pay = useMutation({
    ...REPEATED,
    mutationFn: async ({ email, billing }: Who) => {
      // One key for the hold: a second click, a reload or a lost answer makes no second booking.
      const header = { "Idempotency-Key": `book-${hold.hold_id}` };
      const [first = { method: "demo" }, ...then] = methods;
      const booking = await ask(
        api.POST("/api/v1/bookings", {
          params: { header },
          body: {
            showtime_id: hold.showtime_id,
            hold_id: hold.hold_id,
            payment: first,
            tickets,
            promo_code: promo || undefined,
            email,
            billing,
          },
        }),
      );
      return await payRest(booking, then);
    },
    onSuccess: booked,
    onError: (error) => {
      // What was begun with another way to pay goes on with what is left of it.
      if (error instanceof ApiError && [409, 422].includes(error.status))
        void queries.invalidateQueries({ queryKey });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    const billing = billingOf(fields);
    const email = session.kind === "guest" ? String(fields.get("email")).trim() : undefined;
    if (!pay.isPending && !pay.isSuccess) pay.mutate({ email, billing });
  };
  const refused = quote.error ?? pay.error;
  return (
    <form className="checkout-form" onSubmit={submit}>
      <Countdown
        expiresAt={hold.expires_at}
        over={() => void queries.invalidateQueries({ queryKey })}
        extend={() => extended.mutate()}
        isExtending={extended.isPending}
      />
      <section className="panel" aria-labelledby="who">
        <h2 id="who">{t("checkout.who")}</h2>
        {session.kind === "user" ? (
          <p>{t("checkout.as", { email: session.user.email })}</p>
        ) : (
          <>
            <label className="field">
              <span>{t("checkout.email")}</span>
              <input
                type="email"
                name="email"
                required
                maxLength={254}
                autoComplete="email"
                aria-describedby="email-why"
              />
              <small id="email-why">{t("checkout.emailWhy")}</small>
            </label>
            <p>
              {t("checkout.or")}{" "}
              <Link
                to="/sign-in"
                search={{ next: `/showtimes/${hold.showtime_id}/checkout` }}
                className="link"
              >
                {t("checkout.signInKeep")}
              </Link>
            </p>
          </>
        )}
      </section>
      <section className="panel" aria-labelledby="tickets">
        <h2 id="tickets">{t("checkout.tickets")}</h2>
        <ul className="tickets">
          {hold.seats.map(({ label }) => (
            <TicketChoice
              key={label}
              seat={label}
              types={types.data ?? []}
              value={chosen[label] ?? ADULT}
              price={quote.data?.seats.find((one) => one.seat === label)?.price}
              change={(type) => setChosen((before) => ({ ...before, [label]: type }))}
            />
          ))}
        </ul>
        <PromoField apply={setPromo} />
      </section>
      <section className="panel" aria-labelledby="means">
        <h2 id="means">{t("checkout.means")}</h2>
        {worth && worth.amount > 0 && (
          <label className="check">
            <input
              type="checkbox"
              checked={usesPoints}
              onChange={(event) => setUsesPoints(event.target.checked)}
            />
            {t("checkout.usePoints", { amount: money(worth, language) })}
          </label>
        )}
        <GiftCardField card={card} change={setCard} />
        {parts.rest > 0 && <WayField {...ways} />}
        <BillingFields />
      </section>
      <section className="panel summary" aria-labelledby="summary">
        <h2 id="summary">{t("checkout.summary")}</h2>
        {quote.data ? (
          <Sum quote={quote.data} parts={parts} />
        ) : (
          <Skeleton className="sum-skeleton" />
        )}
        {refused && (
          <p className="warning" role="alert">
            {refusal(refused, t)}
          </p>
        )}
        {ways.isNone && parts.rest > 0 ? (
          <p className="warning">{t("checkout.noPayment")}</p>
        ) : (
          <>
            <button
              type="submit"
              className="button wide"
              disabled={
                pay.isPending ||
                pay.isSuccess ||
                quote.data === undefined ||
                quote.isError ||
                (parts.rest > 0 && ways.way === undefined)
              }
            >
              {pay.isPending || pay.isSuccess
                ? t("checkout.paying")
                : t(isByCard ? "checkout.toCard" : "checkout.pay", {
                    amount: total
                      ? money({ amount: parts.rest, currency: total.currency }, language)
                      : "…",
                  })}
            </button>
            {parts.rest > 0 && ways.way === "demo" && <small>{t("checkout.demo")}</small>}
          </>
        )}
      </section>
    </form>
  );
}

interface TicketProps {
  seat: string;
  types: TicketType[];
  value: string;
  price: Schemas["Money"] | undefined;
  change: (type: string) => void;
}

function TicketChoice({ seat, types, value, price, change }: TicketProps) {
  const { t, language } = useWords();
  const online = types.filter((one) => !one.channels?.length || one.channels.includes("online"));
  const proof = online.find((one) => one.code === value)?.proof;
  return (
    <li>
      <label>
        <span className="seat-name">{seat}</span>
        <span className="unseen">{t("checkout.ticketFor", { seat })}</span>
        <select value={value} onChange={(event) => change(event.target.value)}>
          {online.length === 0 && <option value={ADULT}>…</option>}
          {online.map((one) => (
            <option key={one.code} value={one.code}>
              {one.name}
            </option>
          ))}
        </select>
      </label>
      <span className="price">{price && money(price, language)}</span>
      {proof && <small>{t("checkout.proof", { proof })}</small>}
    </li>
  );
}

function PromoField({ apply }: { apply: (code: string) => void }) {
  const { t } = useWords();
  const [code, setCode] = useState("");
  return (
    <div className="promo">
      <label className="field grow">
        <span>{t("checkout.promo")}</span>
        <input
          value={code}
          maxLength={32}
          autoComplete="off"
          onChange={(event) => {
            setCode(event.target.value);
            if (event.target.value === "") apply("");
          }}
        />
      </label>
      <button type="button" className="button quiet" onClick={() => apply(code.trim())}>
        {t("checkout.apply")}
      </button>
    </div>
  );
}

function Sum({ quote, parts }: { quote: Quote; parts: Parts }) {
  const { t, language } = useWords();
  const taxes = quote.taxes.reduce((total, one) => total + one.tax.amount, 0);
  return (
    <dl className="sum">
      {quote.seats.map((one) => (
        <div key={one.seat}>
          <dt>{one.seat}</dt>
          <dd>{money(one.list_price, language)}</dd>
        </div>
      ))}
      {quote.fees.map((fee) => (
        <div key={fee.code}>
          <dt>
            {fee.name} × {fee.quantity}
          </dt>
          <dd>{money(fee.amount, language)}</dd>
        </div>
      ))}
      {quote.promo?.applied && (
        <div>
          <dt>{t("checkout.discount", { code: quote.promo.code })}</dt>
          <dd>−{money(quote.promo.discount, language)}</dd>
        </div>
      )}
      <div className="total">
        <dt>{t("checkout.total")}</dt>
        <dd>
          {money(quote.total, language)}
          {taxes > 0 && (
            <small>
              {t("checkout.taxes", {
                amount: money({ amount: taxes, currency: quote.total.currency }, language),
              })}
            </small>
          )}
        </dd>
      </div>
      {parts.points > 0 && (
        <div>
          <dt>{t("me.points")}</dt>
          <dd>−{money({ amount: parts.points, currency: quote.total.currency }, language)}</dd>
        </div>
      )}
      {parts.card > 0 && (
        <div>
          <dt>{t("checkout.card")}</dt>
          <dd>−{money({ amount: parts.card, currency: quote.total.currency }, language)}</dd>
        </div>
      )}
    </dl>
  );
}
