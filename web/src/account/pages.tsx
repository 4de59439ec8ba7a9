/** Signing in and up, and a new password. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate, useRouter } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { ApiError, api, ask } from "../api/client";
import { type Key, useWords } from "../i18n";
import { Field, Form, Told, textOf } from "../ui/form";
import { linkToken } from "../ui/links";
import { siteQuery } from "../ui/queries";
import { useTitle } from "../ui/state";
import { acceptInvitation, type SignIn, signIn, signUp } from "./actions";

const signInRoute = getRouteApi("/sign-in");
const signUpRoute = getRouteApi("/sign-up");

/** Back to where somebody came from: a path of these pages, and nothing else. */
function useReturn(next: string | undefined): () => void {
  const router = useRouter();
  const queries = useQueryClient();
  const isOurs = next?.startsWith("/") && !next.startsWith("//") && !next.startsWith("/\\");
  return () => {
    queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== "site" });
    router.history.replace(isOurs && next ? next : "/");
  };
}

export function SignInPage() {
  const { t } = useWords();
  const { next } = signInRoute.useSearch();
  const done = useReturn(next);
  const site = useQuery(siteQuery);
  const [needsCode, setNeedsCode] = useState(false);
  useTitle(t("account.signIn"));
  const entry = useMutation({
    mutationFn: (body: SignIn) => signIn(body),
    onSuccess: done,
    onError: (error) => {
      if (error instanceof ApiError && error.code === "MFA_REQUIRED") setNeedsCode(true);
    },
  });
  const isOnlyCode = entry.error instanceof ApiError && entry.error.code === "MFA_REQUIRED";
  const demo = site.data?.demo_accounts ?? [];
  return (
    <div className="account">
      <Form
        title={t("account.signIn")}
        submit={(fields) =>
          entry.mutate({
            email: fields.email ?? "",
            password: fields.password ?? "",
            ...(fields.code ? { code: fields.code } : {}),
          })
        }
        isBusy={entry.isPending}
        error={isOnlyCode ? null : entry.error}
        action={t("account.signIn")}
      >
        <Field name="email" type="email" label={t("account.email")} autoComplete="username" />
        <Field
          name="password"
          type="password"
          label={t("account.password")}
          autoComplete="current-password"
        />
        {needsCode && <Field name="code" label={t("account.code")} autoComplete="one-time-code" />}
      </Form>
      <p>
        <Link to="/forgot-password" className="link">
          {t("account.forgot")}
        </Link>
      </p>
      <p>
        {t("account.noAccount")}{" "}
        <Link to="/sign-up" search={{ next }} className="link">
          {t("account.signUp")}
        </Link>
      </p>
      {demo.length > 0 && (
        <section className="panel demo" aria-labelledby="demo">
          <h2 id="demo">{t("account.demo")}</h2>
          <p>{t("account.demoText")}</p>
          <div className="actions">
            {demo.map(({ role, email, password }) => (
              <button
                key={role}
                type="button"
                className="button quiet"
                disabled={entry.isPending}
                onClick={() => entry.mutate({ email, password })}
              >
                {t("account.demoAs", { role: t(`account.role.${role}` as Key) })}
              </button>
            ))}
          </div>
        </section>
      )}
    </div>
  );
}

export function SignUpPage() {
  const { t } = useWords();
  const { next } = signUpRoute.useSearch();
  const done = useReturn(next);
  useTitle(t("account.signUp"));
  const entry = useMutation({ mutationFn: signUp, onSuccess: done });
  return (
    <div className="account">
      <Form
        title={t("account.signUp")}
        submit={(fields) =>
          entry.mutate({
            email: fields.email ?? "",
            password: fields.password ?? "",
            first_name: fields.first ?? "",
            last_name: fields.last ?? "",
          })
        }
        isBusy={entry.isPending}
        error={entry.error}
        action={t("account.signUp")}
      >
        <Field name="first" label={t("account.first")} autoComplete="given-name" optional />
        <Field name="last" label={t("account.last")} autoComplete="family-name" optional />
        <Field name="email" type="email" label={t("account.email")} autoComplete="username" />
        <Field
          name="password"
          type="password"
          label={t("account.password")}
          autoComplete="new-password"
        />
      </Form>
      <p>
        {t("account.hasAccount")}{" "}
        <Link to="/sign-in" search={{ next }} className="link">
          {t("account.signIn")}
        </Link>
      </p>
    </div>
  );
}

/** The link of an invitation opens an account with the role that it names. */
export function InvitationPage() {
  const { t } = useWords();
  const done = useReturn(undefined);
  const [token] = useState(linkToken);
  useTitle(t("account.invited"));
  const entry = useMutation({ mutationFn: acceptInvitation, onSuccess: done });
  return (
    <div className="account">
      <Form
        title={t("account.invited")}
        text={t("account.invitedText")}
        submit={(fields) =>
          entry.mutate({
            token,
            password: fields.password ?? "",
            first_name: fields.first ?? "",
            last_name: fields.last ?? "",
          })
        }
        isBusy={entry.isPending}
        error={entry.error}
        action={t("account.open")}
      >
        <Field name="first" label={t("account.first")} autoComplete="given-name" optional />
        <Field name="last" label={t("account.last")} autoComplete="family-name" optional />
        <Field
          name="password"
          type="password"
          label={t("account.newPassword")}
          autoComplete="new-password"
        />
      </Form>
    </div>
  );
}

export function ForgotPage() {
  const { t } = useWords();
  useTitle(t("account.forgotTitle"));
  const asked = useMutation({
    mutationFn: (email: string) =>
      ask(api.POST("/api/v1/auth/forgot-password", { body: { email } })),
  });
  if (asked.isSuccess) return <Told title={t("account.forgotTitle")} text={t("account.sent")} />;
  return (
    <div className="account">
      <Form
        title={t("account.forgotTitle")}
        text={t("account.forgotText")}
        submit={(fields) => asked.mutate(fields.email ?? "")}
        isBusy={asked.isPending}
        error={asked.error}
        action={t("account.send")}
      >
        <Field name="email" type="email" label={t("account.email")} autoComplete="username" />
      </Form>
    </div>
  );
}

export function ResetPage() {
  const { t } = useWords();
  const navigate = useNavigate();
  const [token] = useState(linkToken);
  useTitle(t("account.forgotTitle"));
  const reset = useMutation({
    mutationFn: (password: string) =>
      ask(api.POST("/api/v1/auth/reset-password", { body: { token, new_password: password } })),
  });
  if (reset.isSuccess) {
    return (
      <Told title={t("account.forgotTitle")} text={t("account.resetDone")}>
        <button type="button" className="button" onClick={() => navigate({ to: "/sign-in" })}>
          {t("account.signIn")}
        </button>
      </Told>
    );
  }
  return (
    <div className="account">
      <Form
        title={t("account.forgotTitle")}
        submit={(fields) => reset.mutate(fields.password ?? "")}
        isBusy={reset.isPending}
        error={reset.error}
        action={t("account.reset")}
      >
        <Field
          name="password"
          type="password"
          label={t("account.newPassword")}
          autoComplete="new-password"
        />
      </Form>
    </div>
  );
}

export function VerifyPage() {
  const { t } = useWords();
  const [token] = useState(linkToken);
  useTitle(t("account.email"));
  const { mutate, ...verified } = useMutation({
    mutationFn: () => ask(api.POST("/api/v1/auth/verify-email", { body: { token } })),
  });
  useEffect(() => mutate(), [mutate]);
  const text = verified.isSuccess
    ? t("account.verified")
    : verified.error
      ? textOf(verified.error, t)
      : t("account.verifying");
  return <Told title={t("account.email")} text={text} />;
}
