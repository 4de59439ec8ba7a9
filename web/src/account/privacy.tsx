/** A copy of everything that is known, and the end of the account. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask } from "../api/client";
import { setSession, type User } from "../api/session";
import { moment } from "../format";
import { useWords } from "../i18n";
import { Field, type Fields, Form, Refusal } from "../ui/form";
import { Dialog } from "../ui/state";

const ASK_AGAIN_MS = 2000;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function PrivacyPart({ user }: { user: User }) {
  return (
    <>
      <ExportPanel user={user} />
      <ErasePanel />
    </>
  );
}

function ExportPanel({ user }: { user: User }) {
  const { t } = useWords();
  const asked = useMutation({ mutationFn: () => ask(api.POST("/api/v1/auth/me/export")) });
  const id = asked.data?.id;
  const job = useQuery({
    queryKey: ["job", id],
    queryFn: () =>
      ask(api.GET("/api/v1/jobs/{job_id}", { params: { path: { job_id: id ?? "" } } })),
    enabled: id !== undefined,
    refetchInterval: ({ state }) =>
      ["done", "failed", "cancelled"].includes(state.data?.status ?? "") ? false : ASK_AGAIN_MS,
  });
  const status = job.data?.status;
  const text =
    status === "done" ? "privacy.done" : status === "failed" ? "privacy.failed" : "privacy.making";
  return (
    <section className="panel" aria-labelledby="export">
      <h2 id="export">{t("privacy.export")}</h2>
      <p>{t(user.email_verified ? "privacy.exportText" : "privacy.verifyFirst")}</p>
      <Refusal error={asked.error} />
      {id !== undefined && <p role="status">{t(text)}</p>}
      <button
        type="button"
        className="button quiet"
        disabled={
          !user.email_verified || asked.isPending || (id !== undefined && status !== "failed")
        }
        onClick={() => asked.mutate()}
      >
        {t("privacy.ask")}
      </button>
    </section>
  );
}

function ErasePanel() {
  const { t, language } = useWords();
  const navigate = useNavigate();
  const [isAsking, setAsking] = useState(false);
  const erased = useMutation({
    mutationFn: ({ password = "", code = "" }: Fields) => {
      const body = code.trim() === "" ? { password } : { password, code: code.trim() };
      return ask(api.DELETE("/api/v1/auth/me", { body }));
    },
  });
  const close = () => {
    setAsking(false);
    if (!erased.isSuccess) return erased.reset();
    setSession({ kind: "nobody" });
    void navigate({ to: "/" });
  };
  const needsCode = erased.error instanceof ApiError && erased.error.code === "MFA_REQUIRED";
  return (
    <section className="panel" aria-labelledby="erase">
      <h2 id="erase">{t("privacy.erase")}</h2>
      <p>{t("privacy.eraseText")}</p>
      <button type="button" className="button danger" onClick={() => setAsking(true)}>
        {t("privacy.erase")}
      </button>
      {isAsking && (
        <Dialog title={t("privacy.eraseTitle")} close={close}>
          {erased.isSuccess ? (
            <>
              <p role="status">
                {t("privacy.erased", { when: moment(ZONE, erased.data.erase_at, language) })}
              </p>
              <div className="actions">
                <button type="button" className="button" onClick={close}>
                  {t("error.toFilms")}
                </button>
              </div>
            </>
          ) : (
            <Form
              submit={(fields) => erased.mutate(fields)}
              isBusy={erased.isPending}
              error={needsCode ? null : erased.error}
              action={t("privacy.eraseYes")}
            >
              <Field
                name="password"
                type="password"
                label={t("account.password")}
                autoComplete="current-password"
              />
              <Field
                name="code"
                label={t("account.code")}
                hint={t("factor.codeHint")}
                autoComplete="one-time-code"
                most={64}
                optional={!needsCode}
              />
              <button type="button" className="button quiet" onClick={close}>
                {t("privacy.keep")}
              </button>
            </Form>
          )}
        </Dialog>
      )}
    </section>
  );
}
