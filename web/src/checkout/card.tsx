/** A gift card: looked up by its code before it pays. */
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api, ask } from "../api/client";
import { type Money, money } from "../format";
import { type Key, useWords } from "../i18n";
import { textOf } from "../ui/form";

export interface Card {
  code: string;
  balance: Money;
}

interface GiftCardProps {
  card: Card | null;
  change: (card: Card | null) => void;
}

export function GiftCardField({ card, change }: GiftCardProps) {
  const { t, language } = useWords();
  const [code, setCode] = useState("");
  const looked = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/gift-cards/balance", { body: { code: code.trim() } })),
    onSuccess: ({ balance, status }) =>
      change(status === "active" ? { code: code.trim(), balance } : null),
  });
  if (card !== null) {
    return (
      <div className="row">
        <p role="status">{t("checkout.cardHas", { amount: money(card.balance, language) })}</p>
        <button
          type="button"
          className="button quiet"
          onClick={() => {
            change(null);
            looked.reset();
          }}
        >
          {t("checkout.cardRemove")}
        </button>
      </div>
    );
  }
  const unusable: Key | undefined =
    looked.data && looked.data.status !== "active"
      ? "checkout.cardNot"
      : looked.error instanceof ApiError && looked.error.code === "UNKNOWN_GIFT_CARD"
        ? "checkout.cardUnknown"
        : undefined;
  return (
    <>
      <div className="promo">
        <label className="field grow">
          <span>{t("checkout.card")}</span>
          <input
            value={code}
            maxLength={64}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => setCode(event.target.value)}
            onKeyDown={(event) => {
              // Enter looks the card up, and does not pay.
              if (event.key !== "Enter") return;
              event.preventDefault();
              if (code.trim()) looked.mutate();
            }}
          />
        </label>
        <button
          type="button"
          className="button quiet"
          disabled={code.trim() === "" || looked.isPending}
          onClick={() => looked.mutate()}
        >
          {t("checkout.cardUse")}
        </button>
      </div>
      {(unusable || looked.error) && (
        <p className="warning" role="alert">
          {unusable ? t(unusable) : looked.error && textOf(looked.error, t)}
        </p>
      )}
    </>
  );
}
