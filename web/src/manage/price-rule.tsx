/** A price rule in a form: when it counts, and what it does. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import { useWords } from "../i18n";
import { Field, type Fields, Form, Newest } from "../ui/form";
import { type Cinema, filmsQuery, ticketTypesQuery } from "../ui/queries";
import { Dialog } from "../ui/state";
import { type EffectKind, GROUPS, KINDS, ruleOf, Unreadable, WEEKDAYS } from "./price-parts";
import { weekdayName } from "./prices";
import { plainAmount } from "./show-dialog";

type Rule = Schemas["PriceRule"];

interface RuleProps {
  cinema: Cinema;
  rule?: Rule;
  close: () => void;
}

export function RuleDialog({ cinema, rule, close }: RuleProps) {
  const { t } = useWords();
  const queries = useQueryClient();
  const [seen, setSeen] = useState(rule);
  const again = () => queries.invalidateQueries({ queryKey: ["price-rules", cinema.id] });
  const saved = useMutation({
    ...REPEATED,
    mutationFn: ({ key, fields }: { key: string; fields: Fields }) => {
      const body = read(fields, cinema.currency, t("prices.unreadable"));
      if (seen === undefined) {
        const params = { header: { "Idempotency-Key": key } };
        const whole = { ...body, cinema_id: cinema.id };
        return ask(api.POST("/api/v1/pricing/rules", { params, body: whole }));
      }
      const header = { "If-Match": `"${seen.version ?? 1}"` };
      const params = { path: { rule_id: seen.id }, header };
      return ask(api.PUT("/api/v1/pricing/rules/{rule_id}", { params, body }));
    },
    onSuccess: async () => {
      await again();
      close();
    },
    onError: again,
  });
  return (
    <Dialog title={rule?.name ?? t("prices.add")} close={close}>
      <Form
        key={seen?.version}
        submit={(fields) => saved.mutate({ key: newKey(), fields })}
        isBusy={saved.isPending}
        error={saved.error}
        action={t("me.save")}
        fields={["name", "priority", "value", "days"]}
      >
        <RuleFields cinema={cinema} rule={seen} />
        <Newest
          error={saved.error}
          again={() => {
            saved.reset();
            setSeen(rule);
          }}
        />
        <button type="button" className="button quiet" onClick={close}>
          {t("app.back")}
        </button>
      </Form>
    </Dialog>
  );
}

function read(fields: Fields, currency: string, text: string) {
  try {
    return ruleOf(fields, currency);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    throw new ApiError("VALIDATION_ERROR", text, 400, { path: `$.${error.field}` });
  }
}

function RuleFields({ cinema, rule }: { cinema: Cinema; rule: Rule | undefined }) {
  const { t, language } = useWords();
  const [kind, setKind] = useState<EffectKind>(rule?.effect.kind ?? "percent");
  const value =
    rule && plainAmount(rule.effect.value, kind === "percent" ? "EUR" : cinema.currency, language);
  return (
    <>
      <Field name="name" label={t("prices.name")} initial={rule?.name} most={100} />
      <div className="pair">
        <div className="field">
          <label htmlFor="rule-group">{t("prices.group")}</label>
          <select id="rule-group" name="group" defaultValue={rule?.group ?? "time"}>
            {GROUPS.map((group) => (
              <option key={group} value={group}>
                {t(`prices.group.${group}`)}
              </option>
            ))}
          </select>
        </div>
        <Field
          name="priority"
          type="number"
          label={t("prices.priority")}
          initial={String(rule?.priority ?? 100)}
          least={0}
          greatest={10_000}
        />
      </div>
      <div className="pair">
        <div className="field">
          <label htmlFor="rule-kind">{t("prices.kind")}</label>
          <select
            id="rule-kind"
            name="kind"
            value={kind}
            onChange={(event) => setKind(event.target.value as EffectKind)}
          >
            {KINDS.map((one) => (
              <option key={one} value={one}>
                {t(`prices.kind.${one}`, { currency: cinema.currency })}
              </option>
            ))}
          </select>
        </div>
        <Field
          name="value"
          label={t("prices.value")}
          initial={value}
          hint={t("prices.valueHint")}
          most={12}
        />
      </div>
      <WhenFields cinema={cinema} when={rule?.when ?? {}} />
    </>
  );
}

function WhenFields({ cinema, when }: { cinema: Cinema; when: Rule["when"] }) {
  const { t, language } = useWords();
  const types = useQuery(ticketTypesQuery(cinema.id));
  const films = useQuery(filmsQuery({}));
  const text = (value: number | null | undefined) => (value == null ? undefined : String(value));
  const days = (when.days ?? []).map(({ first, last }) =>
    first === last ? first : `${first} – ${last}`,
  );
  const percent = { type: "number", least: 0, greatest: 100, optional: true } as const;
  const hours = { type: "number", least: 0, greatest: 17_520, optional: true } as const;
  return (
    <fieldset className="tool-group">
      <legend>{t("prices.when")}</legend>
      <fieldset className="seat-choice">
        <legend>{t("prices.weekdays")}</legend>
        {WEEKDAYS.map((day) => (
          <label key={day}>
            <input
              type="checkbox"
              name={`weekday ${day}`}
              defaultChecked={when.weekdays?.includes(day)}
            />
            {weekdayName(day, language, "long")}
          </label>
        ))}
      </fieldset>
      <div className="pair">
        <Field
          name="starts_from"
          type="time"
          label={t("prices.from")}
          initial={when.starts_from ?? undefined}
          optional
        />
        <Field
          name="starts_until"
          type="time"
          label={t("prices.until")}
          initial={when.starts_until ?? undefined}
          optional
        />
      </div>
      <Field
        name="days"
        label={t("prices.days")}
        hint={t("prices.daysHint")}
        initial={days.join("\n")}
        lines={2}
        most={1300}
        optional
      />
      <div className="pair">
        <Field
          name="hours_before_min"
          label={t("prices.hoursMin")}
          initial={text(when.hours_before_min)}
          {...hours}
        />
        <Field
          name="hours_before_max"
          label={t("prices.hoursMax")}
          initial={text(when.hours_before_max)}
          {...hours}
        />
        <Field
          name="taken_min"
          label={t("prices.takenMin")}
          initial={text(when.taken_min)}
          {...percent}
        />
        <Field
          name="taken_max"
          label={t("prices.takenMax")}
          initial={text(when.taken_max)}
          {...percent}
        />
      </div>
      <div className="pair">
        <Field
          name="formats"
          label={t("prices.formats")}
          initial={when.formats?.join(", ")}
          optional
        />
        <Field
          name="categories"
          label={t("prices.categories")}
          initial={when.categories?.join(", ")}
          optional
        />
      </div>
      <Choices
        kind="type"
        title={t("prices.types")}
        chosen={when.ticket_types ?? []}
        options={(types.data ?? []).map((one) => [one.code, one.name])}
      />
      <Choices
        kind="film"
        title={t("films.title")}
        chosen={when.movie_ids ?? []}
        options={(films.data ?? []).map((one) => [one.id, one.title])}
      />
    </fieldset>
  );
}

interface ChoicesProps {
  kind: string;
  title: string;
  chosen: readonly string[];
  options: readonly (readonly [value: string, label: string])[];
}

/** Several of many; what is chosen and no longer there stays chosen until it is taken away. */
function Choices({ kind, title, chosen, options }: ChoicesProps) {
  const known = new Set(options.map(([value]) => value));
  const gone = chosen.filter((value) => !known.has(value)).map((value) => [value, value] as const);
  return (
    <details className="choices-list" open={chosen.length > 0}>
      <summary>{chosen.length > 0 ? `${title} (${chosen.length})` : title}</summary>
      <fieldset className="seat-choice" aria-label={title}>
        {[...options, ...gone].map(([value, label]) => (
          <label key={value}>
            <input
              type="checkbox"
              name={`${kind} ${value}`}
              defaultChecked={chosen.includes(value)}
            />
            {label}
          </label>
        ))}
      </fieldset>
    </details>
  );
}
