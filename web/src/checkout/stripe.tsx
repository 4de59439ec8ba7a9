/** Paying by card. The fields are Stripe's: what is typed there never comes to this server. */
import { Elements, PaymentElement, useElements, useStripe } from "@stripe/react-stripe-js";
import type { StripeElementsOptions } from "@stripe/stripe-js";
import { loadStripe } from "@stripe/stripe-js/pure";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { api, ask } from "../api/client";
import type { Booking } from "../bookings/queries";
import { type Money, money } from "../format";
import { useWords } from "../i18n";
import { Refusal } from "../ui/form";
import { Empty, Skeleton } from "../ui/state";
import { isDark } from "../ui/theme";
import { useBooked } from "./booked";

const LOOK_EVERY_MS = 1000;

/** Why a card did not pay, in the words of Stripe, in the language of the page. */
class Declined extends Error {}

interface CardPaymentProps {
  booking: Booking;
  due: Money;
  stripeKey: string;
}

/** What is due of a booking. However often it is begun, there is one payment. */
export function CardPayment({ booking, due, stripeKey }: CardPaymentProps) {
  const [isSent, setSent] = useState(false);
  const begun = useQuery({
    queryKey: ["card", booking.id, due.amount],
    queryFn: () => {
      const body = { booking_id: booking.id, method: "stripe" };
      return ask(api.POST("/api/v1/payments/process", { body }));
    },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    refetchOnReconnect: false,
  });
  if (begun.isError) return <NoFields error={begun.error} again={() => begun.refetch()} />;
  if (begun.data === undefined) return <Skeleton className="quote-skeleton" />;
  const secret = begun.data.payment.client_secret;
  // Without a secret it is paid already, and only its booking is waited for.
  if (isSent || !secret || begun.data.status !== "pending") return <Settling id={booking.id} />;
  return <Fields stripeKey={stripeKey} secret={secret} amount={due} sent={() => setSent(true)} />;
}

/** Back from a bank's page, when nobody is signed in any more: Stripe alone says how it stands. */
export function Returned({ stripeKey, secret }: { stripeKey: string; secret: string }) {
  const { t } = useWords();
  const [status, setStatus] = useState("");
  if (status !== "") {
    const text = status === "processing" ? "checkout.settlingText" : "checkout.paidText";
    return <Empty title={t("checkout.paid")} text={t(text)} />;
  }
  return (
    <section className="panel" aria-labelledby="card">
      <h1 id="card">{t("checkout.byCard")}</h1>
      <Fields stripeKey={stripeKey} secret={secret} sent={setStatus} />
    </section>
  );
}

interface FieldsProps {
  stripeKey: string;
  secret: string;
  amount?: Money;
  sent: (status: string) => void;
}

function Fields({ stripeKey, secret, amount, sent }: FieldsProps) {
  const { language } = useWords();
  const stripe = useQuery({
    queryKey: ["stripe", stripeKey],
    queryFn: () => loadStripe(stripeKey, { locale: language }),
    structuralSharing: false,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  const known = useQuery({
    queryKey: ["intent", secret],
    queryFn: async () => {
      const { paymentIntent, error } = (await stripe.data?.retrievePaymentIntent(secret)) ?? {};
      if (paymentIntent === undefined) throw new Error(error?.message);
      return paymentIntent;
    },
    enabled: Boolean(stripe.data),
    structuralSharing: false,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
    retry: false,
  });
  const status = known.data?.status;
  const isPaid = status === "succeeded" || status === "processing";
  // biome-ignore lint/correctness/useExhaustiveDependencies: told once.
  useEffect(() => {
    if (isPaid) sent(status);
  }, [isPaid, status]);
  const options = useMemo(
    (): StripeElementsOptions => ({
      clientSecret: secret,
      appearance: { theme: isDark() ? "night" : "stripe" },
    }),
    [secret],
  );
  const failed = stripe.error ?? known.error;
  if (failed || stripe.data === null || status === "canceled") {
    const again = stripe.data ? known.refetch : stripe.refetch;
    return <NoFields error={failed} again={() => again()} />;
  }
  if (stripe.data === undefined || known.data === undefined || isPaid)
    return <Skeleton className="quote-skeleton" />;
  return (
    <Elements stripe={stripe.data} options={options}>
      <Card amount={amount} before={known.data.last_payment_error?.message ?? ""} sent={sent} />
    </Elements>
  );
}

interface CardProps {
  amount: Money | undefined;
  /** Why the card before this one did not pay. */
  before: string;
  sent: (status: string) => void;
}

function Card({ amount, before, sent }: CardProps) {
  const { t, language } = useWords();
  const stripe = useStripe();
  const elements = useElements();
  const [isReady, setReady] = useState(false);
  const paid = useMutation({
    mutationFn: async () => {
      if (stripe === null || elements === null) throw new Declined();
      const { error, paymentIntent } = await stripe.confirmPayment({
        elements,
        // Some banks ask on a page of their own, and send back to this one.
        confirmParams: { return_url: location.origin + location.pathname },
        redirect: "if_required",
      });
      if (error?.payment_intent?.status === "succeeded") return "succeeded";
      if (error) throw new Declined(error.message);
      return paymentIntent.status;
    },
    onSuccess: sent,
  });
  const why = paid.isPending ? "" : (paid.error?.message ?? before);
  return (
    <form
      className="card-form"
      onSubmit={(event) => {
        event.preventDefault();
        if (!paid.isPending && !paid.isSuccess) paid.mutate();
      }}
    >
      <PaymentElement onReady={() => setReady(true)} />
      {(paid.isError || why !== "") && !paid.isPending && (
        <p className="warning" role="alert">
          {t("checkout.declined", { why: why || t("error.other") })}
        </p>
      )}
      <button
        type="submit"
        className="button wide"
        disabled={!isReady || paid.isPending || paid.isSuccess}
      >
        {paid.isPending || paid.isSuccess
          ? t("checkout.paying")
          : amount
            ? t("checkout.pay", { amount: money(amount, language) })
            : t("app.retry")}
      </button>
    </form>
  );
}

/** Paid at Stripe, which tells the cinema in a moment. */
function Settling({ id }: { id: string }) {
  const { t } = useWords();
  const booked = useBooked();
  const params = { path: { booking_id: id } };
  const known = useQuery({
    queryKey: ["settling", id],
    queryFn: () => ask(api.GET("/api/v1/bookings/{booking_id}", { params })),
    staleTime: 0,
    gcTime: 0,
    refetchInterval: ({ state }) => (state.data?.status === "pending" ? LOOK_EVERY_MS : false),
  });
  useEffect(() => {
    // Whoever asks makes the cinema look at Stripe now.
    const body = { booking_id: id, method: "stripe" };
    void ask(api.POST("/api/v1/payments/process", { body })).catch(() => undefined);
  }, [id]);
  const booking = known.data;
  // biome-ignore lint/correctness/useExhaustiveDependencies: told once.
  useEffect(() => {
    if (booking?.status === "confirmed") booked(booking);
  }, [booking?.status]);
  if (booking && booking.status !== "pending" && booking.status !== "confirmed") {
    return (
      <p className="warning" role="alert">
        {t("checkout.late")}. {t("checkout.lateText")}
      </p>
    );
  }
  return (
    <>
      <p role="status">{t("checkout.settling")}</p>
      <Refusal error={known.error} />
      <Skeleton className="quote-skeleton" />
    </>
  );
}

function NoFields({ error, again }: { error: Error | null; again: () => void }) {
  const { t } = useWords();
  return (
    <>
      <p className="warning" role="alert">
        {t("checkout.noCard")}
      </p>
      <Refusal error={error} />
      <button type="button" className="button quiet" onClick={again}>
        {t("app.retry")}
      </button>
    </>
  );
}
