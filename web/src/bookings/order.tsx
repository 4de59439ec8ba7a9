/** A guest's booking, for whoever has the link of the mail; no account is needed. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, whole } from "../api/client";
import { useWords } from "../i18n";
import { Refusal } from "../ui/form";
import { linkToken, save } from "../ui/links";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { Cancelling, type Ways } from "./cancelling";
import { BookingCard } from "./card";

const route = getRouteApi("/orders/$bookingId");

export function OrderPage() {
  const { bookingId } = route.useParams();
  const { t, language } = useWords();
  const queries = useQueryClient();
  const [token] = useState(linkToken);
  const [isAsking, setAsking] = useState(false);
  const [failed, setFailed] = useState<Error | null>(null);
  useTitle(t("booking.title"));
  const headers = { "Link-Token": token };
  const path = { booking_id: bookingId };
  const queryKey = ["order", bookingId, token];
  const order = useQuery({
    queryKey,
    queryFn: () => ask(api.GET("/api/v1/orders/{booking_id}", { params: { path }, headers })),
    enabled: token !== "",
  });
  const isGone =
    token === "" ||
    (order.error instanceof ApiError && [400, 401, 404, 410].includes(order.error.status));
  if (isGone) {
    return (
      <Empty title={t("order.gone")} text={t("order.goneText")}>
        <Link to="/" className="button">
          {t("error.toFilms")}
        </Link>
      </Empty>
    );
  }
  if (order.isError) return <Failure error={order.error} again={() => order.refetch()} />;
  if (order.data === undefined) return <Skeleton className="checkout-skeleton" />;
  const { status } = order.data;
  const ways: Ways = {
    quote: (seats) => {
      const params = { path, query: { seats } };
      return ask(api.GET("/api/v1/orders/{booking_id}/refund-quote", { params, headers }));
    },
    cancel: (seats, key) => {
      const params = { path, query: { seats }, header: { "Idempotency-Key": key } };
      return ask(api.DELETE("/api/v1/orders/{booking_id}", { params, headers }));
    },
  };
  const invoice = async () => {
    const call = api.GET("/api/v1/orders/{booking_id}/invoice", {
      params: { path, query: { language } },
      headers: { ...headers, Accept: "application/pdf" },
      parseAs: "blob",
    });
    try {
      save((await whole(call)) as unknown as Blob, `${order.data.code}.pdf`);
      setFailed(null);
    } catch (error) {
      setFailed(error as Error);
    }
  };
  return (
    <article className="booking">
      <header className="page-head">
        <h1>{t("booking.title")}</h1>
      </header>
      <BookingCard booking={order.data} />
      <div className="actions">
        <button type="button" className="button quiet" onClick={() => window.print()}>
          {t("booking.print")}
        </button>
        <button type="button" className="button quiet" onClick={invoice}>
          {t("booking.invoice")}
        </button>
        {(status === "confirmed" || status === "pending") && (
          <button type="button" className="button danger" onClick={() => setAsking(true)}>
            {t("booking.cancel")}
          </button>
        )}
      </div>
      <Refusal error={failed} />
      {isAsking && (
        <Cancelling
          booking={order.data}
          ways={ways}
          done={(left) => queries.setQueryData(queryKey, left)}
          close={() => setAsking(false)}
        />
      )}
    </article>
  );
}
