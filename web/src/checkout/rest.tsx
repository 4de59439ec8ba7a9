/** What happens with a booking that points or a gift card have paid in part. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, REPEATED, type Schemas } from "../api/client";
import type { Booking } from "../bookings/queries";
import { money } from "../format";
import { type Key, useWords } from "../i18n";
import { type Hold, holdQuery } from "../seats/holds";
import { keep } from "../seats/kept";
import { siteQuery } from "../ui/queries";
import { keyOf, Skeleton } from "../ui/state";
import { type Card, GiftCardField } from "./card";
import { Countdown } from "./countdown";
import { partsOf } from "./parts";

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

/** To the booking, once it is paid; otherwise to what is left to pay. */
export function useBooked(): (booking: Booking) => void {
  const queries = useQueryClient();
  const navigate = useNavigate();
  return (booking) => {
    queries.setQueryData(["booking", booking.id], booking);
    void queries.invalidateQueries({ queryKey: ["bookings"] });
    void queries.invalidateQueries({ queryKey: ["points"] });
    if (booking.status === "pending") {
      void queries.invalidateQueries({ queryKey: ["hold", booking.showtime_id] });
      return;
    }
    keep(null);
    const params = { bookingId: booking.id };
    void navigate({ to: "/bookings/$bookingId", params, search: { new: true }, replace: true });
  };
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

/** The booking of a hold whose payment was begun, and what is due of it. */
export function Rest({ hold }: { hold: Hold }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const booked = useBooked();
  const site = useQuery(siteQuery);
  const [card, setCard] = useState<Card | null>(null);
  const begun = useQuery({
    queryKey: ["begun", hold.hold_id],
    queryFn: async () => {
      const query = { when: "upcoming" as const, limit: 100 };
      const all = await ask(api.GET("/api/v1/bookings", { params: { query } }));
      const seats = new Set(hold.seats.map((seat) => seat.label));
      const isOfHold = (one: Booking) =>
        one.showtime_id === hold.showtime_id &&
        one.status === "pending" &&
        one.seats.every((seat) => seats.has(seat.label));
      return all.find(isOfHold) ?? null;
    },
    staleTime: 0,
  });
  const due = begun.data?.payment.due ?? begun.data?.total;
  const parts = partsOf(due?.amount ?? 0, undefined, card?.balance);
  const paid = useMutation({
    ...REPEATED,
    mutationFn: (booking: Booking) =>
      payRest(booking, [
        ...(card !== null && parts.card > 0 ? [{ method: "gift_card", code: card.code }] : []),
        ...(parts.rest > 0 ? [{ method: "demo" }] : []),
      ]),
    onSuccess: booked,
    onError: () => void begun.refetch(),
  });
  const again = () => {
    void queries.invalidateQueries({
      queryKey: holdQuery(hold.showtime_id, hold.hold_id).queryKey,
    });
  };
  const failed = begun.error ?? paid.error;
  const until = begun.data?.payment.pay_until ?? hold.expires_at;
  const isDemoOff = site.data?.demo_payment === false && parts.rest > 0;
  return (
    <div className="rest">
      <Countdown expiresAt={until} over={again} />
      <section className="panel" aria-labelledby="rest">
        <h2 id="rest">{t("checkout.rest")}</h2>
        <p>{t("checkout.restText", { seats: hold.seats.map((one) => one.label).join(", ") })}</p>
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
          </>
        )}
        {failed && (
          <p className="warning" role="alert">
            {refusal(failed, t)}
          </p>
        )}
        {isDemoOff ? (
          <p className="warning">{t("checkout.noPayment")}</p>
        ) : (
          <button
            type="button"
            className="button wide"
            disabled={!begun.data || paid.isPending || paid.isSuccess}
            onClick={() => begun.data && paid.mutate(begun.data)}
          >
            {t("checkout.pay", {
              amount: due ? money({ ...due, amount: parts.rest }, language) : "…",
            })}
          </button>
        )}
      </section>
    </div>
  );
}
