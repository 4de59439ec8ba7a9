/** Where the link at the end of a mail leads: mails of its kind are turned off, and on again. */
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api, ask } from "../api/client";
import { type Key, useWords } from "../i18n";
import { keyOf, useTitle } from "../ui/state";

export function MailsOffPage() {
  const { t } = useWords();
  const [token] = useState(() => new URLSearchParams(location.hash.slice(1)).get("token") ?? "");
  useTitle(t("mails.title"));
  const query = { token };
  const turn = useMutation({
    mutationFn: (off: boolean) =>
      off
        ? ask(api.POST("/api/v1/messages/off", { params: { query }, body: {} }))
        : ask(api.DELETE("/api/v1/messages/off", { params: { query } })),
  });
  const isOff = turn.data?.off === true;
  return (
    <div className="account">
      <h1>{t("mails.title")}</h1>
      <p role="status">
        {turn.data
          ? t(isOff ? "mails.off" : "mails.on", { kind: t(`mails.${turn.data.kind}` as Key) })
          : t("mails.text")}
      </p>
      {turn.error && (
        <p className="warning" role="alert">
          {turn.error instanceof ApiError && turn.error.status < 429
            ? t("mails.link")
            : t(keyOf(turn.error))}
        </p>
      )}
      <button
        type="button"
        className="button"
        disabled={turn.isPending || token === ""}
        onClick={() => turn.mutate(!isOff)}
      >
        {t(isOff ? "mails.turnOn" : "mails.turnOff")}
      </button>
    </div>
  );
}
