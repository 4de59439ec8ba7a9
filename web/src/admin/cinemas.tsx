/** The cinemas of the chain: added, changed, deleted. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Confirm, Field, type Fields, Form, Newest } from "../ui/form";
import { type Cinema, cinemasQuery } from "../ui/queries";
import { Dialog, Empty, Failure, Skeleton, useTitle } from "../ui/state";
import "../styles/manage.css";

const ADMINS = ["admin"] as const;
const FIELDS = ["name", "address", "city", "country", "time_zone", "currency"] as const;

export function CinemasPage() {
  const { t } = useWords();
  useTitle(t("cinemas.title"));
  return (
    <StaffOnly roles={ADMINS}>
      <Cinemas />
    </StaffOnly>
  );
}

function Cinemas() {
  const { t } = useWords();
  const cinemas = useQuery({ ...cinemasQuery, staleTime: 0 });
  return (
    <>
      <header className="page-head">
        <h1>{t("cinemas.title")}</h1>
      </header>
      <div className="office">
        <div className="office-main">
          {cinemas.isError ? (
            <Failure error={cinemas.error} again={() => cinemas.refetch()} />
          ) : cinemas.data === undefined ? (
            <Skeleton className="list-skeleton" />
          ) : cinemas.data.length === 0 ? (
            <Empty title={t("cinemas.none")} text={t("cinemas.noneText")} />
          ) : (
            <ul className="rows panel">
              {cinemas.data.map((one) => (
                <CinemaRow key={one.id} cinema={one} />
              ))}
            </ul>
          )}
        </div>
        <div className="office-side">
          <Adding />
        </div>
      </div>
    </>
  );
}

function CinemaRow({ cinema }: { cinema: Cinema }) {
  const { t } = useWords();
  const [asked, setAsked] = useState<"change" | "delete" | null>(null);
  const close = () => setAsked(null);
  const facts = [cinema.address, cinema.city, cinema.country, cinema.time_zone, cinema.currency];
  return (
    <li className="row">
      <div>
        <strong>{cinema.name}</strong>
        <br />
        <small>{facts.filter(Boolean).join(" · ")}</small>
      </div>
      <button
        type="button"
        className="button quiet"
        onClick={() => setAsked("change")}
        aria-label={`${t("users.change")}: ${cinema.name}`}
      >
        {t("users.change")}
      </button>
      <button
        type="button"
        className="button danger"
        onClick={() => setAsked("delete")}
        aria-label={`${t("promos.delete")}: ${cinema.name}`}
      >
        {t("promos.delete")}
      </button>
      {asked === "change" && <Changing cinema={cinema} close={close} />}
      {asked === "delete" && <Deleting cinema={cinema} close={close} />}
    </li>
  );
}

function bodyOf(fields: Fields): Schemas["CinemaInput"] {
  const text = (name: string) => (fields[name] ?? "").trim();
  return {
    name: text("name"),
    address: text("address"),
    city: text("city"),
    country: text("country").toUpperCase(),
    time_zone: text("time_zone"),
    currency: text("currency").toUpperCase(),
  };
}

function useAgain() {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: cinemasQuery.queryKey });
}

function CinemaFields({ cinema }: { cinema?: Cinema }) {
  const { t } = useWords();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <>
      <Field name="name" label={t("cinemas.name")} initial={cinema?.name} most={200} />
      <Field
        name="address"
        label={t("cinemas.address")}
        initial={cinema?.address}
        most={300}
        optional
      />
      <Field name="city" label={t("cinemas.city")} initial={cinema?.city} most={100} />
      <div className="pair">
        <Field
          name="country"
          label={t("cinemas.country")}
          initial={cinema?.country}
          pattern="[A-Za-z]{2}"
          hint={t("cinemas.countryHint")}
          most={2}
        />
        <Field
          name="currency"
          label={t("cinemas.currency")}
          initial={cinema?.currency}
          pattern="[A-Za-z]{3}"
          hint={t("cinemas.currencyHint")}
          most={3}
        />
      </div>
      <Field
        name="time_zone"
        label={t("cinemas.zone")}
        initial={cinema?.time_zone ?? zone}
        hint={t("cinemas.zoneHint")}
        most={64}
      />
    </>
  );
}

function Adding() {
  const { t } = useWords();
  const again = useAgain();
  const added = useMutation({
    ...REPEATED,
    mutationFn: ({ key, fields }: { key: string; fields: Fields }) => {
      const params = { header: { "Idempotency-Key": key } };
      return ask(api.POST("/api/v1/cinemas", { params, body: bodyOf(fields) }));
    },
    onSuccess: again,
  });
  return (
    <section className="panel" aria-labelledby="add">
      <h2 id="add">{t("cinemas.add")}</h2>
      <Form
        submit={(fields, form) =>
          added.mutate({ key: newKey(), fields }, { onSuccess: () => form.reset() })
        }
        isBusy={added.isPending}
        error={added.error}
        action={t("cinemas.add")}
        fields={FIELDS}
      >
        <CinemaFields />
      </Form>
    </section>
  );
}

function Changing({ cinema, close }: { cinema: Cinema; close: () => void }) {
  const { t } = useWords();
  const again = useAgain();
  const [seen, setSeen] = useState(cinema);
  const changed = useMutation({
    mutationFn: (fields: Fields) => {
      const header = { "If-Match": `"${seen.version ?? 1}"` };
      const params = { path: { cinema_id: cinema.id }, header };
      return ask(api.PUT("/api/v1/cinemas/{cinema_id}", { params, body: bodyOf(fields) }));
    },
    onSuccess: async () => {
      await again();
      close();
    },
    onError: again,
  });
  return (
    <Dialog title={cinema.name} close={close}>
      <Form
        key={seen.version}
        submit={(fields) => changed.mutate(fields)}
        isBusy={changed.isPending}
        error={changed.error}
        action={t("me.save")}
        fields={FIELDS}
      >
        <CinemaFields cinema={seen} />
        <Newest
          error={changed.error}
          again={() => {
            changed.reset();
            setSeen(cinema);
          }}
        />
        <button type="button" className="button quiet" onClick={close}>
          {t("app.back")}
        </button>
      </Form>
    </Dialog>
  );
}

function Deleting({ cinema, close }: { cinema: Cinema; close: () => void }) {
  const { t } = useWords();
  const again = useAgain();
  const deleted = useMutation({
    ...REPEATED,
    mutationFn: (key: string) => {
      const header = { "If-Match": `"${cinema.version ?? 1}"`, "Idempotency-Key": key };
      const params = { path: { cinema_id: cinema.id }, header };
      return ask(api.DELETE("/api/v1/cinemas/{cinema_id}", { params }));
    },
    onSuccess: async () => {
      await again();
      close();
    },
    onError: again,
  });
  return (
    <Confirm
      title={t("form.deleteTitle", { name: cinema.name })}
      text={t("cinemas.deleteText")}
      action={t("promos.delete")}
      run={() => deleted.mutate(newKey())}
      isBusy={deleted.isPending}
      error={deleted.error}
      close={close}
    />
  );
}
