/** What tickets cost in a cinema: rules, ticket types, and a look at what comes of them. */
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, ask, newKey, REPEATED, type Schemas, whole } from "../api/client";
import { money } from "../format";
import { type Key, useWords, type Words } from "../i18n";
import { Confirm } from "../ui/form";
import type { Cinema } from "../ui/queries";
import { Empty } from "../ui/state";
import { Answer, HousePage } from "./frame";
import { GROUPS, inOrder } from "./price-parts";
import { PricePreview } from "./price-preview";
import { RuleDialog } from "./price-rule";
import { PriceSettings } from "./price-settings";

type Rule = Schemas["PriceRule"];

export function PricesPage() {
  const { t } = useWords();
  return (
    <HousePage title={t("prices.title")} side={(cinema) => <PricePreview cinema={cinema} />}>
      {(cinema) => (
        <>
          <Rules cinema={cinema} />
          <PriceSettings cinema={cinema} />
        </>
      )}
    </HousePage>
  );
}

function Rules({ cinema }: { cinema: Cinema }) {
  const rules = useInfiniteQuery({
    queryKey: ["price-rules", cinema.id],
    queryFn: ({ pageParam }) => {
      const query = { cinema_id: cinema.id, limit: 100, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/pricing/rules", { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
  });
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = rules;
  // Which rule counts is seen from all of them alone; there are 200 at most.
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return (
    <Answer of={rules}>
      {({ pages }) => <InGroups cinema={cinema} rules={pages.flatMap((page) => page.data)} />}
    </Answer>
  );
}

function InGroups({ cinema, rules }: { cinema: Cinema; rules: Rule[] }) {
  const { t } = useWords();
  const [isAdding, setAdding] = useState(false);
  const all = inOrder(rules);
  return (
    <section aria-labelledby="rules">
      <div className="section-head">
        <h2 id="rules">{t("prices.rules")}</h2>
        <button type="button" className="button" onClick={() => setAdding(true)}>
          {t("prices.add")}
        </button>
      </div>
      <p>
        <small>{t("prices.rulesText")}</small>
      </p>
      {all.length === 0 && <Empty title={t("prices.none")} text={t("prices.noneText")} />}
      {GROUPS.map((group) => {
        const own = all.filter((rule) => rule.group === group);
        return own.length === 0 ? null : (
          <section key={group} aria-labelledby={`group-${group}`}>
            <h3 id={`group-${group}`}>{t(`prices.group.${group}`)}</h3>
            <ul className="rows panel">
              {own.map((rule) => (
                <RuleRow key={rule.id} rule={rule} cinema={cinema} />
              ))}
            </ul>
          </section>
        );
      })}
      {isAdding && <RuleDialog cinema={cinema} close={() => setAdding(false)} />}
    </section>
  );
}

function RuleRow({ rule, cinema }: { rule: Rule; cinema: Cinema }) {
  const words = useWords();
  const { t } = words;
  const [asked, setAsked] = useState<"change" | "delete" | null>(null);
  const close = () => setAsked(null);
  return (
    <li className="row">
      <div>
        <strong>{rule.name}</strong>{" "}
        <span className="status">{effectText(rule.effect, cinema.currency, words)}</span>
        <br />
        <small>
          {[t("prices.priorityOf", { n: rule.priority }), ...whenTexts(rule.when, words)].join(
            " · ",
          )}
        </small>
      </div>
      <button
        type="button"
        className="button quiet"
        onClick={() => setAsked("change")}
        aria-label={`${t("users.change")}: ${rule.name}`}
      >
        {t("users.change")}
      </button>
      <button
        type="button"
        className="button danger"
        onClick={() => setAsked("delete")}
        aria-label={`${t("promos.delete")}: ${rule.name}`}
      >
        {t("promos.delete")}
      </button>
      {asked === "change" && <RuleDialog cinema={cinema} rule={rule} close={close} />}
      {asked === "delete" && <Deleting rule={rule} close={close} />}
    </li>
  );
}

function Deleting({ rule, close }: { rule: Rule; close: () => void }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const again = () => queries.invalidateQueries({ queryKey: ["price-rules", rule.cinema_id] });
  const deleted = useMutation({
    ...REPEATED,
    mutationFn: (key: string) => {
      const header = { "If-Match": `"${rule.version ?? 1}"`, "Idempotency-Key": key };
      const params = { path: { rule_id: rule.id }, header };
      return ask(api.DELETE("/api/v1/pricing/rules/{rule_id}", { params }));
    },
    onSuccess: async () => {
      await again();
      close();
    },
    onError: again,
  });
  return (
    <Confirm
      title={t("form.deleteTitle", { name: rule.name })}
      text={t("prices.deleteText")}
      action={t("promos.delete")}
      run={() => deleted.mutate(newKey())}
      isBusy={deleted.isPending}
      error={deleted.error}
      close={close}
    />
  );
}

function effectText(effect: Rule["effect"], currency: string, { t, language }: Words): string {
  const sign = { signDisplay: "exceptZero" } as const;
  if (effect.kind === "percent") {
    const options = { style: "percent", maximumFractionDigits: 2, ...sign } as const;
    return new Intl.NumberFormat(language, options).format(effect.value / 10_000);
  }
  const amount = money({ amount: effect.value, currency }, language);
  if (effect.kind === "price") return t("prices.is", { amount });
  return effect.value > 0 ? `+${amount}` : amount;
}

export function weekdayName(weekday: number, language: string, style: "short" | "long"): string {
  // The first of January 2024 was a Monday.
  const day = new Date(Date.UTC(2024, 0, weekday, 12));
  return new Intl.DateTimeFormat(language, { timeZone: "UTC", weekday: style }).format(day);
}

function whenTexts(when: Rule["when"], { t, language }: Words): string[] {
  const list = (values: readonly string[] | undefined) => (values ?? []).join(", ");
  const range = (key: "time" | "hours" | "taken", from: unknown, until: unknown) =>
    from == null && until == null
      ? ""
      : t(`prices.when.${key}` as Key, { from: String(from ?? "…"), until: String(until ?? "…") });
  const weekdays = (when.weekdays ?? []).map((day) => weekdayName(day, language, "short"));
  const days = (when.days ?? []).map(({ first, last }) =>
    first === last ? first : `${first} – ${last}`,
  );
  const films = when.movie_ids?.length ?? 0;
  return [
    list(weekdays),
    range("time", when.starts_from, when.starts_until),
    list(days),
    range("hours", when.hours_before_min, when.hours_before_max),
    range("taken", when.taken_min, when.taken_max),
    list(when.formats),
    list(when.categories),
    list(when.ticket_types),
    films > 0 ? t("prices.when.films", { n: films }) : "",
  ].filter(Boolean);
}
