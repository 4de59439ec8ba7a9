/** Setting up, replacing and removing an authenticator, and its recovery codes. */
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { renderSVG } from "uqr";
import { api, ask, type Schemas } from "../api/client";
import { useWords } from "../i18n";
import { entered, Field, type Fields, Form, Refusal } from "../ui/form";

type Enrolment = Schemas["Enrolment"];

export function Authenticator() {
  const { t } = useWords();
  const [enrolment, setEnrolment] = useState<Enrolment | null>(null);
  const [codes, setCodes] = useState<string[] | null>(null);
  const verified = useMutation({
    mutationFn: ({ code = "" }: Fields) =>
      ask(api.POST("/api/v1/auth/mfa/verify", { body: { code: code.trim() } })),
    onSuccess: ({ recovery_codes }) => {
      setEnrolment(null);
      setCodes(recovery_codes);
    },
  });
  return (
    <section className="panel" aria-labelledby="factor">
      <h2 id="factor">{t("factor.title")}</h2>
      {codes !== null ? (
        <Codes codes={codes} done={() => setCodes(null)} />
      ) : enrolment !== null ? (
        <>
          <p>{t("factor.scan")}</p>
          <img className="qr" src={pictureOf(enrolment)} alt={t("factor.picture")} />
          <p>
            {t("factor.secret")} <code>{enrolment.secret}</code>
          </p>
          <Form
            submit={(fields) => verified.mutate(fields)}
            isBusy={verified.isPending}
            error={verified.error}
            action={t("factor.verify")}
          >
            <Field name="code" label={t("account.code")} autoComplete="one-time-code" most={64} />
          </Form>
        </>
      ) : (
        <Begin begun={setEnrolment} renewed={setCodes} />
      )}
    </section>
  );
}

function pictureOf({ otpauth_url }: Enrolment): string {
  return `data:image/svg+xml,${encodeURIComponent(renderSVG(otpauth_url, { border: 2 }))}`;
}

interface BeginProps {
  begun: (enrolment: Enrolment) => void;
  renewed: (codes: string[]) => void;
}

/** All three ask for the password; whoever has an authenticator adds a code of it. */
function Begin({ begun, renewed }: BeginProps) {
  const { t } = useWords();
  const [isOff, setOff] = useState(false);
  const asked = useMutation({
    mutationFn: async ({ act, password = "", code = "" }: Fields) => {
      setOff(false);
      const factor = { password, code: code.trim() };
      if (act === "remove") {
        await ask(api.DELETE("/api/v1/auth/mfa/totp", { body: factor }));
        setOff(true);
      } else if (act === "renew") {
        const made = await ask(api.POST("/api/v1/auth/mfa/recovery-codes", { body: factor }));
        renewed(made.recovery_codes);
      } else {
        const body = factor.code === "" ? { password } : factor;
        begun(await ask(api.POST("/api/v1/auth/mfa/totp", { body })));
      }
    },
  });
  return (
    <form
      className="account-form"
      onSubmit={(event) => {
        event.preventDefault();
        const by = (event.nativeEvent as SubmitEvent).submitter as HTMLButtonElement | null;
        asked.mutate({ ...entered(event.currentTarget), act: by?.value ?? "begin" });
      }}
    >
      <p>{t("factor.text")}</p>
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
        optional
      />
      <Refusal error={asked.error} />
      {isOff && <p role="status">{t("factor.off")}</p>}
      <div className="actions">
        <button type="submit" value="begin" className="button quiet" disabled={asked.isPending}>
          {t("factor.begin")}
        </button>
        <button type="submit" value="renew" className="button quiet" disabled={asked.isPending}>
          {t("factor.renew")}
        </button>
        <button type="submit" value="remove" className="button danger" disabled={asked.isPending}>
          {t("factor.remove")}
        </button>
      </div>
    </form>
  );
}

function Codes({ codes, done }: { codes: string[]; done: () => void }) {
  const { t } = useWords();
  return (
    <div role="status">
      <p>{t("factor.codes")}</p>
      <ul className="codes">
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <div className="actions">
        <button type="button" className="button quiet" onClick={() => window.print()}>
          {t("booking.print")}
        </button>
        <button type="button" className="button" onClick={done}>
          {t("factor.done")}
        </button>
      </div>
    </div>
  );
}
