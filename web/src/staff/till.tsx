/** The cash session of whoever sells: opened, cash moved, counted and closed. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import type { User } from "../api/session";
import { clock, minorOf, money } from "../format";
import { useWords } from "../i18n";
import { Field, type Fields, Form } from "../ui/form";
import type { Cinema } from "../ui/queries";
import { Failure, Skeleton } from "../ui/state";

export type Till = Schemas["CashSession"];

const KINDS = ["pay_in", "pay_out", "bank_drop"] as const;

/** The open session of this person in this cinema; null if there is none. */
export function useTill(cinema: Cinema | undefined, user: User) {
  return useQuery({
    queryKey: ["till", cinema?.id, user.id],
    queryFn: async (): Promise<Till | null> => {
      const query = { cinema_id: cinema?.id ?? "", status: "open" as const, limit: 100 };
      const open = await ask(api.GET("/api/v1/cash-sessions", { params: { query } }));
      return open.find((one) => one.opened_by === user.id) ?? null;
    },
    enabled: cinema !== undefined,
  });
}

interface TillProps {
  cinema: Cinema;
  user: User;
  /** The till that was closed last, with what was counted. */
  closed: (till: Till) => void;
}

export function TillPanel({ cinema, user, closed }: TillProps) {
  const { t } = useWords();
  const till = useTill(cinema, user);
  const isElsewhere = till.error instanceof ApiError && till.error.status === 403;
  return (
    <section className="panel till" aria-labelledby="till">
      <h2 id="till">{t("till.title")}</h2>
      {isElsewhere ? (
        <p className="warning">{t("scan.forbidden")}</p>
      ) : till.isError ? (
        <Failure error={till.error} again={() => till.refetch()} />
      ) : till.data === undefined ? (
        <Skeleton className="quote-skeleton" />
      ) : till.data === null ? (
        <Opening cinema={cinema} user={user} />
      ) : (
        <Open till={till.data} cinema={cinema} user={user} closed={closed} />
      )}
    </section>
  );
}

/** What was typed as an amount, or a refusal before anything is sent. */
function amountOf(text: string | undefined, currency: string, words: string) {
  const amount = minorOf(text ?? "", currency);
  if (amount === null) throw new ApiError("VALIDATION_ERROR", words, 400);
  return { amount, currency };
}

function Opening({ cinema, user }: { cinema: Cinema; user: User }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const [key] = useState(newKey);
  const opened = useMutation({
    ...REPEATED,
    mutationFn: async ({ till = "", opening }: Fields) => {
      const params = { header: { "Idempotency-Key": key } };
      const body = {
        cinema_id: cinema.id,
        till: till.trim(),
        opening: amountOf(opening, cinema.currency, t("till.amountBad")),
      };
      return ask(api.POST("/api/v1/cash-sessions", { params, body }));
    },
    onSuccess: (made) => queries.setQueryData(["till", cinema.id, user.id], made),
  });
  return (
    <Form
      text={t("till.openText")}
      submit={(fields) => opened.mutate(fields)}
      isBusy={opened.isPending}
      error={opened.error}
      action={t("till.open")}
    >
      <Field name="till" label={t("till.name")} autoComplete="off" most={40} initial="1" />
      <Field name="opening" label={t("till.opening")} autoComplete="off" most={12} initial="0" />
    </Form>
  );
}

function Open({ till, cinema, user, closed }: TillProps & { till: Till }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const moved = useMutation({
    ...REPEATED,
    mutationFn: async ({ kind, amount, reason = "", key = "" }: Fields) => {
      const params = {
        path: { cash_session_id: till.id },
        header: { "Idempotency-Key": key },
      };
      const body = {
        kind: kind as (typeof KINDS)[number],
        amount: amountOf(amount, cinema.currency, t("till.amountBad")),
        reason: reason.trim(),
      };
      return ask(api.POST("/api/v1/cash-sessions/{cash_session_id}/movements", { params, body }));
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ["movements", till.id] }),
  });
  const ended = useMutation({
    ...REPEATED,
    mutationFn: async ({ counted, note = "", key = "" }: Fields) => {
      const params = {
        path: { cash_session_id: till.id },
        header: { "Idempotency-Key": key },
      };
      const body = {
        counted: amountOf(counted, cinema.currency, t("till.amountBad")),
        note: note.trim(),
      };
      return ask(api.POST("/api/v1/cash-sessions/{cash_session_id}/close", { params, body }));
    },
    onSuccess: (done) => {
      closed(done);
      queries.setQueryData(["till", cinema.id, user.id], null);
    },
  });
  return (
    <>
      <p>
        {t("till.isOpen", {
          till: till.till,
          when: clock(cinema.time_zone, till.opened_at, language),
        })}
      </p>
      <details>
        <summary>{t("till.move")}</summary>
        <Form
          submit={(fields, form) =>
            moved.mutate({ ...fields, key: newKey() }, { onSuccess: () => form.reset() })
          }
          isBusy={moved.isPending}
          error={moved.error}
          action={t("till.move")}
          quiet
        >
          <div className="field">
            <label htmlFor="kind">{t("till.kind")}</label>
            <select id="kind" name="kind">
              {KINDS.map((kind) => (
                <option key={kind} value={kind}>
                  {t(`till.${kind}`)}
                </option>
              ))}
            </select>
          </div>
          <Field name="amount" label={t("till.amount")} autoComplete="off" most={12} />
          <Field name="reason" label={t("till.reason")} autoComplete="off" most={200} />
        </Form>
        <Movements till={till} />
      </details>
      <details>
        <summary>{t("till.close")}</summary>
        <Form
          text={t("till.closeText")}
          submit={(fields) => ended.mutate({ ...fields, key: newKey() })}
          isBusy={ended.isPending}
          error={ended.error}
          action={t("till.close")}
          quiet
        >
          <Field name="counted" label={t("till.counted")} autoComplete="off" most={12} />
          <Field name="note" label={t("till.note")} autoComplete="off" most={500} optional />
        </Form>
      </details>
    </>
  );
}

function Movements({ till }: { till: Till }) {
  const { t, language } = useWords();
  const movements = useQuery({
    queryKey: ["movements", till.id],
    queryFn: () => {
      const params = { path: { cash_session_id: till.id } };
      return ask(api.GET("/api/v1/cash-sessions/{cash_session_id}/movements", { params }));
    },
  });
  if (!movements.data?.length) return null;
  return (
    <ul className="rows">
      {movements.data.map((one) => (
        <li key={one.id} className="row">
          <span>
            {t(`till.${one.kind}`)}: {one.reason}
          </span>
          <span className="price">{money(one.amount, language)}</span>
        </li>
      ))}
    </ul>
  );
}

/** What was counted, and what should have been there. */
export function Closed({ till }: { till: Till }) {
  const { t, language } = useWords();
  const lines = [
    ["till.counted", till.counted],
    ["till.expected", till.expected],
    ["till.variance", till.variance],
  ] as const;
  return (
    <section className="panel" aria-labelledby="closed">
      <h2 id="closed">{t("till.closed", { till: till.till })}</h2>
      <dl className="sum">
        {lines.map(([key, amount]) => (
          <div key={key}>
            <dt>{t(key)}</dt>
            <dd>{amount && money(amount, language)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
