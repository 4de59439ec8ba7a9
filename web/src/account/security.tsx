/** Password, authenticator, and the devices that are signed in. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { api, ask, type Schemas } from "../api/client";
import { setSession } from "../api/session";
import { moment } from "../format";
import { useWords } from "../i18n";
import { Field, Form, Refusal } from "../ui/form";
import { Failure, Skeleton } from "../ui/state";
import { Authenticator } from "./authenticator";
import { deviceOf } from "./devices";

const sessionsKey = ["sessions"];

export function SecurityPart() {
  return (
    <>
      <PasswordPanel />
      <Authenticator />
      <Sessions />
    </>
  );
}

function PasswordPanel() {
  const { t } = useWords();
  const queries = useQueryClient();
  const changed = useMutation({
    mutationFn: ({ current = "", password = "" }: Record<string, string>) => {
      const body = { current_password: current, new_password: password };
      return ask(api.POST("/api/v1/auth/change-password", { body }));
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: sessionsKey }),
  });
  return (
    <section className="panel" aria-labelledby="password">
      <h2 id="password">{t("account.password")}</h2>
      <Form
        submit={(fields, form) => changed.mutate(fields, { onSuccess: () => form.reset() })}
        isBusy={changed.isPending}
        error={changed.error}
        action={t("account.reset")}
        quiet
      >
        <Field
          name="current"
          type="password"
          label={t("me.currentPassword")}
          autoComplete="current-password"
        />
        <Field
          name="password"
          type="password"
          label={t("account.newPassword")}
          autoComplete="new-password"
          most={128}
        />
      </Form>
      {changed.isSuccess && <p role="status">{t("me.passwordChanged")}</p>}
    </section>
  );
}

function Sessions() {
  const { t } = useWords();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const sessions = useQuery({
    queryKey: sessionsKey,
    queryFn: () => ask(api.GET("/api/v1/auth/sessions")),
  });
  const leave = () => {
    setSession({ kind: "nobody" });
    void navigate({ to: "/" });
  };
  const ended = useMutation({
    mutationFn: ({ id }: Schemas["Session"]) => {
      const params = { path: { session_id: id } };
      return ask(api.DELETE("/api/v1/auth/sessions/{session_id}", { params }));
    },
    onSuccess: (_, { current }) =>
      current ? leave() : queries.invalidateQueries({ queryKey: sessionsKey }),
  });
  const all = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/auth/logout-all")),
    onSuccess: leave,
  });
  return (
    <section className="panel" aria-labelledby="sessions">
      <h2 id="sessions">{t("me.sessions")}</h2>
      {sessions.isError ? (
        <Failure error={sessions.error} again={() => sessions.refetch()} />
      ) : sessions.data === undefined ? (
        <Skeleton className="sum-skeleton" />
      ) : (
        <ul className="rows">
          {sessions.data.map((one) => (
            <SessionRow
              key={one.id}
              session={one}
              isBusy={ended.isPending}
              end={() => ended.mutate(one)}
            />
          ))}
        </ul>
      )}
      <Refusal error={ended.error ?? all.error} />
      <button
        type="button"
        className="button danger"
        disabled={all.isPending}
        onClick={() => all.mutate()}
      >
        {t("me.endAll")}
      </button>
    </section>
  );
}

interface SessionRowProps {
  session: Schemas["Session"];
  isBusy: boolean;
  end: () => void;
}

function SessionRow({ session, isBusy, end }: SessionRowProps) {
  const { t, language } = useWords();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const device = deviceOf(session.user_agent) || t("me.device");
  return (
    <li className="row">
      <div>
        <strong>{device}</strong>
        {session.current && <span className="status confirmed">{t("me.current")}</span>}
        <br />
        <small>
          {t("me.used", { when: moment(zone, session.last_used_at, language) })} · {session.address}
        </small>
      </div>
      <button
        type="button"
        className="button quiet"
        disabled={isBusy}
        onClick={end}
        aria-label={`${t("me.end")}: ${device}`}
      >
        {t("me.end")}
      </button>
    </li>
  );
}
