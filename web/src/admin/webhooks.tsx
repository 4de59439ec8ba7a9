/** Where events are sent: added, switched, deleted, and what became of what was sent. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import { moment } from "../format";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Confirm, Field, type Fields, Form, Refusal } from "../ui/form";
import { cinemasQuery } from "../ui/queries";
import { Dialog, Empty, Failure, Skeleton, useTitle } from "../ui/state";
import "../styles/manage.css";

type Webhook = Schemas["Webhook"];
type Delivery = Schemas["Delivery"];

const ADMINS = ["admin"] as const;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function WebhooksPage() {
  const { t } = useWords();
  useTitle(t("hooks.title"));
  return (
    <StaffOnly roles={ADMINS}>
      <Webhooks />
    </StaffOnly>
  );
}

function Webhooks() {
  const { t } = useWords();
  const [secret, setSecret] = useState<string | null>(null);
  const hooks = useQuery({
    queryKey: ["webhooks"],
    queryFn: () => ask(api.GET("/api/v1/admin/webhooks")),
    staleTime: 0,
  });
  const all = hooks.data;
  return (
    <>
      <header className="page-head">
        <h1>{t("hooks.title")}</h1>
      </header>
      <div className="office">
        <div className="office-main">
          {hooks.isError ? (
            <Failure error={hooks.error} again={() => hooks.refetch()} />
          ) : all === undefined ? (
            <Skeleton className="list-skeleton" />
          ) : all.length === 0 ? (
            <Empty title={t("hooks.none")} text={t("hooks.noneText")} />
          ) : (
            <ul className="rows panel">
              {all.map((one) => (
                <Row key={one.id} hook={one} tell={setSecret} />
              ))}
            </ul>
          )}
        </div>
        <div className="office-side">
          <Adding tell={setSecret} />
        </div>
      </div>
      {secret !== null && (
        <Dialog title={t("hooks.secret")} close={() => setSecret(null)}>
          <p>{t("hooks.secretText")}</p>
          <p>
            <code className="secret">{secret}</code>
          </p>
          <div className="actions">
            <button type="button" className="button" onClick={() => setSecret(null)}>
              {t("factor.done")}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function useAgain() {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: ["webhooks"] });
}

interface RowProps {
  hook: Webhook;
  tell: (secret: string) => void;
}

function Row({ hook, tell }: RowProps) {
  const { t, language } = useWords();
  const again = useAgain();
  const [asked, setAsked] = useState<"sent" | "secret" | "delete" | null>(null);
  const close = () => setAsked(null);
  const path = { webhook_id: hook.id };
  const switched = useMutation({
    mutationFn: () => {
      const body = { enabled: !hook.enabled };
      return ask(api.PATCH("/api/v1/admin/webhooks/{webhook_id}", { params: { path }, body }));
    },
    onSettled: again,
  });
  const renewed = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/admin/webhooks/{webhook_id}/secret", { params: { path } })),
    onSuccess: async (made) => {
      await again();
      close();
      tell(made.secret);
    },
  });
  const deleted = useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/admin/webhooks/{webhook_id}", { params: { path } })),
    onSuccess: again,
  });
  const types = hook.types.length > 0 ? hook.types.join(", ") : t("hooks.all");
  const facts = [
    hook.description,
    types,
    hook.last_delivered_at &&
      t("hooks.last", { when: moment(ZONE, hook.last_delivered_at, language) }),
    hook.disabled_reason,
  ];
  return (
    <li className="row">
      <div>
        <strong>{hook.url}</strong>
        {!hook.enabled && <span className="status">{t("promos.off")}</span>}
        {hook.failing_since && <span className="status bad">{t("hooks.failing")}</span>}
        <br />
        <small>{facts.filter(Boolean).join(" · ")}</small>
        {hook.failing_since && hook.last_error && (
          <>
            <br />
            <small>{hook.last_error}</small>
          </>
        )}
        <Refusal error={switched.error} />
      </div>
      <button
        type="button"
        className="button quiet"
        onClick={() => setAsked("sent")}
        aria-label={`${t("hooks.sent")}: ${hook.url}`}
      >
        {t("hooks.sent")}
      </button>
      <button
        type="button"
        className="button quiet"
        disabled={switched.isPending}
        onClick={() => switched.mutate()}
        aria-label={`${t(hook.enabled ? "promos.switchOff" : "promos.switchOn")}: ${hook.url}`}
      >
        {t(hook.enabled ? "promos.switchOff" : "promos.switchOn")}
      </button>
      <button
        type="button"
        className="button quiet"
        onClick={() => setAsked("secret")}
        aria-label={`${t("hooks.renew")}: ${hook.url}`}
      >
        {t("hooks.renew")}
      </button>
      <button
        type="button"
        className="button danger"
        onClick={() => setAsked("delete")}
        aria-label={`${t("promos.delete")}: ${hook.url}`}
      >
        {t("promos.delete")}
      </button>
      {asked === "sent" && <Sent hook={hook} close={close} />}
      {asked === "secret" && (
        <Confirm
          title={t("hooks.renew")}
          text={t("hooks.renewText")}
          action={t("hooks.renew")}
          run={() => renewed.mutate()}
          isBusy={renewed.isPending}
          error={renewed.error}
          close={close}
        />
      )}
      {asked === "delete" && (
        <Confirm
          title={t("form.deleteTitle", { name: hook.url })}
          text={t("hooks.deleteText")}
          action={t("promos.delete")}
          run={() => deleted.mutate()}
          isBusy={deleted.isPending}
          error={deleted.error}
          close={close}
        />
      )}
    </li>
  );
}

/** The newest events for a receiver, and a second try for what was given up. */
function Sent({ hook, close }: { hook: Webhook; close: () => void }) {
  const { t } = useWords();
  const path = { webhook_id: hook.id };
  const sent = useQuery({
    queryKey: ["deliveries", hook.id],
    queryFn: () => {
      const params = { path, query: { limit: 20 } };
      return ask(api.GET("/api/v1/admin/webhooks/{webhook_id}/deliveries", { params }));
    },
    staleTime: 0,
  });
  return (
    <Dialog title={t("hooks.sent")} close={close}>
      {sent.isError ? (
        <Refusal error={sent.error} />
      ) : sent.data === undefined ? (
        <Skeleton className="times-skeleton" />
      ) : sent.data.length === 0 ? (
        <p>{t("hooks.nothing")}</p>
      ) : (
        <ul className="rows">
          {sent.data.map((one) => (
            <DeliveryRow key={one.id} hookId={hook.id} delivery={one} />
          ))}
        </ul>
      )}
      <div className="actions">
        <button type="button" className="button quiet" onClick={close}>
          {t("app.back")}
        </button>
      </div>
    </Dialog>
  );
}

function DeliveryRow({ hookId, delivery }: { hookId: string; delivery: Delivery }) {
  const { t, many, language } = useWords();
  const queries = useQueryClient();
  const again = useMutation({
    mutationFn: () => {
      const path = { webhook_id: hookId, delivery_id: delivery.id };
      return ask(
        api.POST("/api/v1/admin/webhooks/{webhook_id}/deliveries/{delivery_id}/retry", {
          params: { path },
        }),
      );
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["deliveries", hookId] }),
  });
  const at = delivery.ended_at ?? delivery.next_try_at;
  const facts = [
    many("hooks.tries", delivery.attempts),
    at && moment(ZONE, at, language),
    delivery.last_status,
    delivery.last_error,
  ];
  return (
    <li className="row">
      <div>
        <strong>{delivery.type}</strong>{" "}
        <span className={delivery.status === "failed" ? "status bad" : "status"}>
          {t(`hooks.${delivery.status}`)}
        </span>
        <br />
        <small>{facts.filter(Boolean).join(" · ")}</small>
        <Refusal error={again.error} />
      </div>
      {delivery.status !== "waiting" && (
        <button
          type="button"
          className="button quiet"
          disabled={again.isPending}
          onClick={() => again.mutate()}
        >
          {t("hooks.again")}
        </button>
      )}
    </li>
  );
}

function Adding({ tell }: { tell: (secret: string) => void }) {
  const { t } = useWords();
  const again = useAgain();
  const cinemas = useQuery(cinemasQuery);
  const added = useMutation({
    ...REPEATED,
    mutationFn: ({ key, fields }: { key: string; fields: Fields }) => {
      const body = {
        url: (fields.url ?? "").trim(),
        description: (fields.description ?? "").trim(),
        cinema_id: fields.cinema_id || null,
      };
      const params = { header: { "Idempotency-Key": key } };
      return ask(api.POST("/api/v1/admin/webhooks", { params, body }));
    },
    onSuccess: async (made) => {
      await again();
      tell(made.secret);
    },
  });
  return (
    <section className="panel" aria-labelledby="add">
      <h2 id="add">{t("hooks.add")}</h2>
      <Form
        submit={(fields, form) =>
          added.mutate({ key: newKey(), fields }, { onSuccess: () => form.reset() })
        }
        isBusy={added.isPending}
        error={added.error}
        action={t("hooks.add")}
        fields={["url", "description"]}
        codes={{ WEBHOOK_URL_REFUSED: "url" }}
      >
        <Field name="url" label={t("hooks.url")} hint={t("films.linkHint")} most={2048} />
        <Field name="description" label={t("films.description")} most={200} optional />
        <div className="field">
          <label htmlFor="hook-cinema">{t("home.cinema")}</label>
          <select id="hook-cinema" name="cinema_id" defaultValue="">
            <option value="">{t("home.any")}</option>
            {cinemas.data?.map((one) => (
              <option key={one.id} value={one.id}>
                {one.name}, {one.city}
              </option>
            ))}
          </select>
        </div>
      </Form>
    </section>
  );
}
