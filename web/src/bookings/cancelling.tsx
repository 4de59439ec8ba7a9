/** Giving seats back: which ones, and what comes back for them, before anything is cancelled. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, newKey, REPEATED, type Schemas } from "../api/client";
import { money } from "../format";
import { type Key, useWords } from "../i18n";
import { Dialog, keyOf, Skeleton } from "../ui/state";
import type { Booking } from "./queries";

const TEXTS: Partial<Record<string, Key>> = {
  SHOWTIME_STARTED: "booking.started",
  ALREADY_USED: "booking.used",
  PAYMENT_DISPUTED: "booking.disputed",
  BOOKING_ENDED: "booking.ended",
};

/** How a customer asks, and how the link of a mail does; `seats` are labels with commas, none for all. */
export interface Ways {
  quote: (seats?: string) => Promise<Schemas["RefundQuote"]>;
  cancel: (seats: string | undefined, key: string) => Promise<Booking>;
}

interface CancellingProps {
  booking: Booking;
  ways: Ways;
  done: (booking: Booking) => void;
  close: () => void;
}

export function Cancelling({ booking, ways, done, close }: CancellingProps) {
  const { t, language } = useWords();
  const labels = booking.seats.map((seat) => seat.label);
  const [chosen, setChosen] = useState(labels);
  // A key belongs to one request: other seats are another one.
  const [key] = useState(newKey);
  const isAll = chosen.length === labels.length;
  const seats = isAll ? undefined : chosen.join(",");
  const quote = useQuery({
    queryKey: ["refund-quote", booking.id, seats ?? ""],
    queryFn: () => ways.quote(seats),
    enabled: chosen.length > 0,
    staleTime: 0,
    gcTime: 0,
  });
  const cancel = useMutation({
    ...REPEATED,
    mutationFn: () => ways.cancel(seats, `${key}-${seats ?? "all"}`.slice(0, 128)),
    onSuccess: (left) => {
      done(left);
      close();
    },
  });
  const toggle = (label: string) => {
    cancel.reset();
    setChosen((before) => labels.filter((one) => before.includes(one) !== (one === label)));
  };
  const failed = quote.error ?? cancel.error;
  return (
    <Dialog title={t("booking.cancelTitle")} close={close}>
      {labels.length > 1 && (
        <fieldset className="seat-choice">
          <legend>{t("booking.cancelWhich")}</legend>
          {labels.map((label) => (
            <label key={label}>
              <input
                type="checkbox"
                checked={chosen.includes(label)}
                onChange={() => toggle(label)}
              />
              {label}
            </label>
          ))}
        </fieldset>
      )}
      {failed ? (
        <p className="warning" role="alert">
          {t((failed instanceof ApiError && TEXTS[failed.code]) || keyOf(failed))}
        </p>
      ) : chosen.length === 0 ? (
        <p>{t("booking.cancelNone")}</p>
      ) : quote.data === undefined ? (
        <Skeleton className="quote-skeleton" />
      ) : (
        <p aria-live="polite">
          {quote.data.refund.amount === 0
            ? t("booking.noRefund")
            : t("booking.refund", {
                amount: money(quote.data.refund, language),
                percent: quote.data.percent,
              })}{" "}
          {quote.data.refund.amount > 0 &&
            quote.data.kept.amount > 0 &&
            t("booking.refundKept", { amount: money(quote.data.kept, language) })}
        </p>
      )}
      <div className="actions">
        <button type="button" className="button" onClick={close}>
          {t("booking.cancelNo")}
        </button>
        <button
          type="button"
          className="button danger"
          disabled={chosen.length === 0 || quote.data === undefined || cancel.isPending}
          onClick={() => cancel.mutate()}
        >
          {t(isAll ? "booking.cancelYes" : "booking.cancelSome", {
            amount: quote.data ? money(quote.data.refund, language) : "…",
            seats: chosen.join(", "),
          })}
        </button>
      </div>
    </Dialog>
  );
}
