/** Promo codes: what they take off, how often they were used; added, switched off, deleted. */
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED, type Schemas, whole } from "../api/client";
import { minorOf, moment, money } from "../format";
import { useWords } from "../i18n";
import { Field, type Fields, Form, Refusal } from "../ui/form";
import type { Cinema } from "../ui/queries";
import { Empty } from "../ui/state";
import { Answer, HousePage } from "./frame";

type Promo = Schemas["PromoCode"];

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function PromosPage() {
  const { t } = useWords();
  return (
    <HousePage title={t("promos.title")} side={(cinema) => <Adding cinema={cinema} />}>
      {(cinema) => <List cinema={cinema} />}
    </HousePage>
  );
}

function List({ cinema }: { cinema: Cinema }) {
  const { t } = useWords();
  const promos = useInfiniteQuery({
    queryKey: ["promos", cinema.id],
    queryFn: ({ pageParam }) => {
      const query = { cinema_id: cinema.id, limit: 50, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/pricing/promocodes", { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
  });
  return (
    <Answer of={promos}>
      {({ pages }) =>
        pages[0]?.data.length === 0 ? (
          <Empty title={t("promos.none")} text={t("promos.noneText")} />
        ) : (
          <>
            <ul className="rows panel">
              {pages.flatMap((page) =>
                page.data.map((one) => <PromoRow key={one.id} promo={one} cinema={cinema} />),
              )}
            </ul>
            {promos.hasNextPage && (
              <button type="button" className="button quiet" onClick={() => promos.fetchNextPage()}>
                {t("bookings.more")}
              </button>
            )}
          </>
        )
      }
    </Answer>
  );
}

function PromoRow({ promo, cinema }: { promo: Promo; cinema: Cinema }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const { discount, currency, valid_until, max_uses, uses, active } = promo;
  const onSettled = () => queries.invalidateQueries({ queryKey: ["promos", cinema.id] });
  const params = { path: { promo_id: promo.id }, header: { "If-Match": `"${promo.version}"` } };
  const switched = useMutation({
    mutationFn: () => {
      const { id: _id, code: _code, uses: _uses, version: _version, ...terms } = promo;
      const body = { ...terms, active: !active };
      return ask(api.PUT("/api/v1/pricing/promocodes/{promo_id}", { params, body }));
    },
    onSettled,
  });
  const deleted = useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/pricing/promocodes/{promo_id}", { params })),
    onSettled,
  });
  const takes =
    discount.kind === "percent"
      ? new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 2 }).format(
          discount.value / 10_000,
        )
      : money({ amount: discount.value, currency: currency ?? cinema.currency }, language);
  const facts = [
    t(promo.per === "seat" ? "promos.perSeat" : "promos.perBooking", { amount: takes }),
    max_uses === null ? t("promos.used", { n: uses }) : t("promos.usedOf", { n: uses, max_uses }),
    valid_until && t("promos.until", { when: moment(ZONE, valid_until, language) }),
  ];
  return (
    <li className="row">
      <div>
        <code>{promo.code}</code>
        {!active && <span className="status">{t("promos.off")}</span>}
        <br />
        <small>{facts.filter(Boolean).join(" · ")}</small>
        <Refusal error={switched.error ?? deleted.error} />
      </div>
      <button
        type="button"
        className="button quiet"
        disabled={switched.isPending}
        onClick={() => switched.mutate()}
        aria-label={`${t(active ? "promos.switchOff" : "promos.switchOn")}: ${promo.code}`}
      >
        {t(active ? "promos.switchOff" : "promos.switchOn")}
      </button>
      <button
        type="button"
        className="button danger"
        disabled={deleted.isPending}
        onClick={() => deleted.mutate()}
        aria-label={`${t("promos.delete")}: ${promo.code}`}
      >
        {t("promos.delete")}
      </button>
    </li>
  );
}

function Adding({ cinema }: { cinema: Cinema }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const [kind, setKind] = useState<"percent" | "amount">("percent");
  const added = useMutation({
    ...REPEATED,
    mutationFn: async ({ key = "", code = "", value = "", per, until, most }: Fields) => {
      // Percent are sent in hundredths, as money is.
      const number = minorOf(value, kind === "percent" ? "EUR" : cinema.currency);
      if (number === null) throw new ApiError("VALIDATION_ERROR", t("till.amountBad"), 400);
      const body = {
        code: code.trim(),
        discount: { kind, value: number },
        per: per as "booking" | "seat",
        cinema_ids: [cinema.id],
        ...(kind === "amount" ? { currency: cinema.currency } : {}),
        ...(until ? { valid_until: new Date(until).toISOString() } : {}),
        ...(most ? { max_uses: Number(most) } : {}),
      };
      const params = { header: { "Idempotency-Key": key } };
      return ask(api.POST("/api/v1/pricing/promocodes", { params, body }));
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ["promos", cinema.id] }),
  });
  return (
    <section className="panel" aria-labelledby="add">
      <h2 id="add">{t("promos.add")}</h2>
      <Form
        submit={(fields, form) =>
          added.mutate({ ...fields, key: newKey() }, { onSuccess: () => form.reset() })
        }
        isBusy={added.isPending}
        error={added.error}
        action={t("promos.add")}
      >
        <Field name="code" label={t("promos.code")} autoComplete="off" most={32} />
        <div className="field">
          <label htmlFor="promo-kind">{t("promos.kind")}</label>
          <select
            id="promo-kind"
            value={kind}
            onChange={(event) => setKind(event.target.value as "percent" | "amount")}
          >
            <option value="percent">{t("promos.percent")}</option>
            <option value="amount">{cinema.currency}</option>
          </select>
        </div>
        <Field name="value" label={t("promos.value")} autoComplete="off" most={12} />
        <div className="field">
          <label htmlFor="promo-per">{t("promos.per")}</label>
          <select id="promo-per" name="per">
            <option value="booking">{t("promos.booking")}</option>
            <option value="seat">{t("promos.seat")}</option>
          </select>
        </div>
        <Field
          name="until"
          type="datetime-local"
          label={t("promos.validUntil")}
          autoComplete="off"
          optional
        />
        <Field name="most" type="number" label={t("promos.most")} autoComplete="off" optional />
      </Form>
    </section>
  );
}
