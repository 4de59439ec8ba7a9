/** What happens with a booking that points or a gift card have paid in part. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState } from "react";
import { ApiError, api, ask, REPEATED, type Schemas } from "../api/client";
import type { Booking } from "../bookings/queries";
import { money } from "../format";
import { type Key, useWords } from "../i18n";
import { type Hold, holdQuery } from "../seats/holds";
import { Empty, keyOf, Skeleton } from "../ui/state";
import { useBooked } from "./booked";
import { type Card, GiftCardField } from "./card";
import { Countdown } from "./countdown";
import { partsOf } from "./parts";
import { useWays, WayField } from "./ways";

const CardPayment = lazy(() =>
  import("./stripe").then((stripe) => ({ default: stripe.CardPayment })),
);

type Means = Schemas["PaymentInput"];

/** Pay what is left of a booking, one way after the other, until nothing is. */
export async function payRest(begun: Booking, means: readonly Means[]): Promise<Booking> {
  let booking = begun;
  for (const { method, code } of means) {
    if (booking.status !== "pending") break;
    const body = { booking_id: booking.id, method, code };
    booking = await ask(api.POST("/api/v1/payments/process", { body }));
  }
  return booking;
}

/** What a refusal means here; of what only the server knows, its own words. */
export function refusal(error: Error, t: (key: Key) => string): string {
  if (error instanceof ApiError) {
    if (error.code === "UNKNOWN_PROMO_CODE") return t("checkout.promoUnknown");
    if (error.code === "PROMO_NOT_APPLICABLE") return t("checkout.promoNot");
    if (error.code === "UNKNOWN_GIFT_CARD") return t("checkout.cardUnknown");
    if (error.code === "GIFT_CARD_UNUSABLE") return t("checkout.cardNot");
    if (error.code === "POINTS_UNUSABLE") return t("checkout.pointsNot");
    if (error.status > 0 && error.status < 429 && error.message) return error.message;
  }
  return t(keyOf(error));
}

/** The booking that was made of a hold; null if there is none any more. */
async function bookingOf(hold: Hold, status: Booking["status"]): Promise<Booking | null> {
  const query = { when: "upcoming" as const, limit: 100 };
  const all = await ask(api.GET("/api/v1/bookings", { params: { query } }));
  const seats = new Set(hold.seats.map((seat) => seat.label));
  const isOfHold = (one: Booking) =>
    one.showtime_id === hold.showtime_id &&
    one.status === status &&
    one.seats.every((seat) => seats.has(seat.label));
  return all.find(isOfHold) ?? null;
}

/** A hold that has become a booking, for whoever comes back to its checkout. */
export function Landed({ hold }: { hold: Hold }) {
  const { t } = useWords();
  const booked = useBooked();
  const found = useQuery({
    queryKey: ["landed", hold.hold_id],
    queryFn: () => bookingOf(hold, "confirmed"),
    staleTime: 0,
  });
  const booking = found.data;
  // biome-ignore lint/correctness/useExhaustiveDependencies: told once.
  useEffect(() => {
    if (booking) booked(booking);
  }, [booking]);
  if (booking || found.isPending) return <Skeleton className="checkout-skeleton" />;
  return (
    <Empty title={t("checkout.booked")} text={t("checkout.bookedText")}>
      <Link to="/bookings" className="button">
        {t("app.bookings")}
      </Link>
    </Empty>
  );
}

/** The booking of a hold whose payment was begun, and what is due of it. */
export function Rest({ hold }: { hold: Hold }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const booked = useBooked();
  const ways = useWays();
  const [card, setCard] = useState<Card | null>(null);
  const begun = useQuery({
    queryKey: ["begun", hold.hold_id],
    queryFn: () => bookingOf(hold, "pending"),
    staleTime: 0,
  });
  const due = begun.data?.payment.due ?? begun.data?.total;
  const parts = partsOf(due?.amount ?? 0, undefined, card?.balance);
  const isByCard = ways.way === "stripe" && parts.rest > 0;
  const paid = useMutation({
    ...REPEATED,
    mutationFn: (booking: Booking) =>
      payRest(booking, [
        ...(card !== null && parts.card > 0 ? [{ method: "gift_card", code: card.code }] : []),
        ...(parts.rest > 0 && ways.way === "demo" ? [{ method: "demo" }] : []),
      ]),
    onSuccess: async (booking) => {
      booked(booking);
      if (booking.status !== "pending") return;
      // The gift card has paid its part; what is left is paid by card.
      await begun.refetch();
      setCard(null);
      paid.reset();
    },
    onError: () => void begun.refetch(),
  });
  const again = () => {
    void queries.invalidateQueries({
      queryKey: holdQuery(hold.showtime_id, hold.hold_id).queryKey,
    });
  };
  const failed = begun.error ?? paid.error;
  const until = begun.data?.payment.pay_until ?? hold.expires_at;
  const isPartPaid = begun.data?.payment.due !== undefined;
  const seats = hold.seats.map((one) => one.label).join(", ");
  const rest = due && money({ ...due, amount: parts.rest }, language);
  const byGiftCard = due && money({ ...due, amount: parts.card }, language);
  return (
    <div className="rest">
      <Countdown expiresAt={until} over={again} />
      <section className="panel" aria-labelledby="rest">
        <h2 id="rest">{t(isPartPaid || !isByCard ? "checkout.rest" : "checkout.byCard")}</h2>
        <p>{t(isPartPaid ? "checkout.restText" : "checkout.byCardText", { seats })}</p>
        {due === undefined ? (
          <Skeleton className="quote-skeleton" />
        ) : (
          <>
            <dl className="sum">
              <div className="total">
                <dt>{t("checkout.due")}</dt>
                <dd>{money(due, language)}</dd>
              </div>
            </dl>
            <GiftCardField card={card} change={setCard} />
            <WayField {...ways} />
          </>
        )}
        {failed && (
          <p className="warning" role="alert">
            {refusal(failed, t)}
          </p>
        )}
        {ways.isNone && parts.rest > 0 ? (
          <p className="warning">{t("checkout.noPayment")}</p>
        ) : isByCard && parts.card === 0 ? (
          begun.data &&
          due && (
            <Suspense fallback={<Skeleton className="quote-skeleton" />}>
              <CardPayment
                key={due.amount}
                booking={begun.data}
                due={due}
                stripeKey={ways.stripeKey}
              />
            </Suspense>
          )
        ) : (
          <button
            type="button"
            className="button wide"
            disabled={!begun.data || paid.isPending || paid.isSuccess}
            onClick={() => begun.data && paid.mutate(begun.data)}
          >
            {isByCard
              ? t("checkout.useCard", { amount: byGiftCard ?? "…" })
              : t("checkout.pay", { amount: rest ?? "…" })}
          </button>
        )}
      </section>
    </div>
  );
}
