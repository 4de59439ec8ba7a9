/** Ticket types of a cinema, and what seats of each category cost; the rest of its settings stays. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api, ask, type Schemas } from "../api/client";
import { useWords } from "../i18n";
import { Field, type Fields, Form, Newest, STEADY } from "../ui/form";
import { type Cinema, ticketTypesQuery } from "../ui/queries";
import { Failure, Skeleton } from "../ui/state";
import { signedOf } from "./price-parts";
import { plainAmount } from "./show-dialog";

type Settings = Schemas["SettingsOfPrices"];
type TicketType = Schemas["TicketType"];

const settingsQuery = (cinemaId: string) => ({
  queryKey: ["price-settings", cinemaId],
  queryFn: () => {
    const params = { path: { cinema_id: cinemaId } };
    return ask(api.GET("/api/v1/cinemas/{cinema_id}/pricing", { params }));
  },
  ...STEADY,
});

export function PriceSettings({ cinema }: { cinema: Cinema }) {
  const settings = useQuery(settingsQuery(cinema.id));
  // That somebody does not work here is said above.
  if (settings.error instanceof ApiError && settings.error.status === 403) return null;
  if (settings.isError) return <Failure error={settings.error} again={() => settings.refetch()} />;
  if (settings.data === undefined || !settings.isFetchedAfterMount)
    return <Skeleton className="times-skeleton" />;
  return <Loaded cinema={cinema} found={settings.data} />;
}

interface Line {
  key: number;
  type: TicketType;
}

function Loaded({ cinema, found }: { cinema: Cinema; found: Settings }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const begin = (of: Settings): Line[] =>
    (of.settings.ticket_types ?? []).map((type, key) => ({ key, type }));
  const [lines, setLines] = useState(() => begin(found));
  const [round, setRound] = useState(0);
  const changed = useMutation({
    mutationFn: (fields: Fields) => {
      const header = { "If-Match": `"${found.version}"` };
      const params = { path: { cinema_id: cinema.id }, header };
      const body = {
        ...found.settings,
        ticket_types: lines.map(({ key, type }) => typeOf(fields, key, type)),
        category_factors: factorsOf(fields, found.settings, t("prices.unreadable")),
      };
      return ask(api.PUT("/api/v1/cinemas/{cinema_id}/pricing", { params, body }));
    },
    onSuccess: (next) => {
      queries.setQueryData(settingsQuery(cinema.id).queryKey, next);
      return queries.invalidateQueries({ queryKey: ticketTypesQuery(cinema.id).queryKey });
    },
  });
  const newest = async () => {
    await queries.invalidateQueries({ queryKey: settingsQuery(cinema.id).queryKey });
    const next = queries.getQueryData<Settings>(settingsQuery(cinema.id).queryKey);
    if (next) setLines(begin(next));
    changed.reset();
    setRound(round + 1);
  };
  const add = () => {
    const key = Math.max(-1, ...lines.map((line) => line.key)) + 1;
    setLines([...lines, { key, type: { code: "", name: "" } }]);
  };
  return (
    <section className="panel" aria-labelledby="settings">
      <h2 id="settings">{t("prices.types")}</h2>
      <Form
        key={round}
        submit={(fields) => changed.mutate(fields)}
        isBusy={changed.isPending}
        error={changed.error}
        action={t("me.save")}
      >
        {lines.map((line) => (
          <TypeFields
            key={line.key}
            at={line.key}
            type={line.type}
            remove={
              lines.length > 1
                ? () => setLines(lines.filter((one) => one.key !== line.key))
                : undefined
            }
          />
        ))}
        <div>
          <button type="button" className="button quiet" onClick={add}>
            {t("prices.addType")}
          </button>
        </div>
        <Factors settings={found.settings} />
        <Newest error={changed.error} again={newest} />
        {changed.isSuccess && <p role="status">{t("me.saved")}</p>}
      </Form>
    </section>
  );
}

function typeOf(fields: Fields, key: number, was: TicketType): TicketType {
  const of = (name: string) => (fields[`${name} ${key}`] ?? "").trim();
  return {
    ...was,
    code: of("code"),
    name: of("name"),
    proof: of("proof"),
    free: of("free") !== "",
    needs_paying: of("needs_paying") !== "",
  };
}

interface TypeProps {
  at: number;
  type: TicketType;
  remove: (() => void) | undefined;
}

function TypeFields({ at, type, remove }: TypeProps) {
  const { t } = useWords();
  return (
    <fieldset className="tool-group">
      <legend>{type.name || t("prices.newType")}</legend>
      <div className="pair">
        <Field name={`name ${at}`} label={t("cinemas.name")} initial={type.name} most={100} />
        <Field
          name={`code ${at}`}
          label={t("promos.code")}
          initial={type.code}
          pattern="[a-z][a-z0-9_\-]*"
          hint={t("prices.codeHint")}
          most={32}
        />
        <Field
          name={`proof ${at}`}
          label={t("prices.proof")}
          initial={type.proof}
          most={200}
          optional
        />
      </div>
      <div className="tools">
        <label className="check">
          <input type="checkbox" name={`free ${at}`} defaultChecked={type.free} />
          {t("prices.free")}
        </label>
        <label className="check">
          <input type="checkbox" name={`needs_paying ${at}`} defaultChecked={type.needs_paying} />
          {t("prices.needsPaying")}
        </label>
        {remove && (
          <button
            type="button"
            className="button danger"
            onClick={remove}
            aria-label={`${t("promos.delete")}: ${type.name || t("prices.newType")}`}
          >
            {t("promos.delete")}
          </button>
        )}
      </div>
    </fieldset>
  );
}

function Factors({ settings }: { settings: Settings["settings"] }) {
  const { t, language } = useWords();
  const factors = Object.entries(settings.category_factors ?? {});
  return (
    <fieldset className="tool-group">
      <legend>{t("prices.factors")}</legend>
      <div className="pair">
        {factors.map(([category, value]) => (
          <Field
            key={category}
            name={`factor ${category}`}
            label={category}
            initial={plainAmount(value, "EUR", language)}
            most={8}
          />
        ))}
      </div>
    </fieldset>
  );
}

function factorsOf(fields: Fields, settings: Settings["settings"], text: string) {
  const names = Object.keys(settings.category_factors ?? {});
  return Object.fromEntries(
    names.map((name) => {
      const value = signedOf(fields[`factor ${name}`] ?? "", "EUR");
      if (value === null || value < 0) throw new ApiError("VALIDATION_ERROR", text, 400);
      return [name, value];
    }),
  );
}
