/** Name, language of mails, e-mail address. */
import { useMutation } from "@tanstack/react-query";
import { api, ask } from "../api/client";
import { currentSession, setSession, type User } from "../api/session";
import { useWords } from "../i18n";
import { Field, Form } from "../ui/form";

/** What the server says of the account from now on. */
function know(user: User): void {
  const session = currentSession();
  if (session.kind === "user") setSession({ ...session, user });
}

export function ProfilePart({ user }: { user: User }) {
  const { t } = useWords();
  const saved = useMutation({
    mutationFn: ({ first = "", last = "", mails }: Record<string, string>) => {
      const body = {
        first_name: first,
        last_name: last,
        ...(mails ? { language: mails as "en" | "de" } : {}),
      };
      return ask(api.PATCH("/api/v1/auth/me", { body }));
    },
    onSuccess: know,
  });
  return (
    <>
      <section className="panel" aria-labelledby="profile">
        <h2 id="profile">{t("me.profile")}</h2>
        <Form
          submit={(fields) => saved.mutate(fields)}
          isBusy={saved.isPending}
          error={saved.error}
          action={t("me.save")}
        >
          <Field
            name="first"
            label={t("account.first")}
            autoComplete="given-name"
            initial={user.first_name}
            most={100}
            optional
          />
          <Field
            name="last"
            label={t("account.last")}
            autoComplete="family-name"
            initial={user.last_name}
            most={100}
            optional
          />
          <div className="field">
            <label htmlFor="mails">{t("me.mails")}</label>
            <select id="mails" name="mails" defaultValue="">
              <option value="">{t("me.mailsSame")}</option>
              <option value="en">English</option>
              <option value="de">Deutsch</option>
            </select>
          </div>
        </Form>
        {saved.isSuccess && <p role="status">{t("me.saved")}</p>}
      </section>
      <AddressPanel user={user} />
    </>
  );
}

function AddressPanel({ user }: { user: User }) {
  const { t } = useWords();
  const again = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/auth/verify-email/resend", { body: { email: user.email } })),
  });
  const changed = useMutation({
    mutationFn: ({ email = "", password = "" }: Record<string, string>) =>
      ask(api.POST("/api/v1/auth/change-email", { body: { email, password } })),
  });
  return (
    <section className="panel" aria-labelledby="address">
      <h2 id="address">{t("account.email")}</h2>
      {user.email_verified ? (
        <p>{t("me.verified", { email: user.email })}</p>
      ) : (
        <div className="row">
          <p>{t("me.unverified", { email: user.email })}</p>
          <button
            type="button"
            className="button quiet"
            disabled={again.isPending || again.isSuccess}
            onClick={() => again.mutate()}
          >
            {t("account.send")}
          </button>
        </div>
      )}
      {again.isSuccess && <p role="status">{t("me.linkSent")}</p>}
      <Form
        submit={(fields) => changed.mutate(fields)}
        isBusy={changed.isPending}
        error={changed.error}
        action={t("me.changeEmail")}
        quiet
      >
        <Field name="email" type="email" label={t("me.newEmail")} autoComplete="email" />
        <Field
          name="password"
          type="password"
          label={t("account.password")}
          autoComplete="current-password"
        />
      </Form>
      {changed.isSuccess && <p role="status">{t("me.linkSent")}</p>}
    </section>
  );
}
