/** Which mails somebody gets, and what comes to the telephone too. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useId, useState } from "react";
import { api, ask, type Schemas } from "../api/client";
import { type Key, useWords } from "../i18n";
import { Refusal } from "../ui/form";
import { Failure, Skeleton } from "../ui/state";

type Choices = Schemas["MessageChoices"];

const KEY = ["message-choices"];

export function MessagesPart() {
  const choices = useQuery({
    queryKey: KEY,
    queryFn: () => ask(api.GET("/api/v1/auth/me/messages")),
    staleTime: 0,
  });
  if (choices.isError) return <Failure error={choices.error} again={() => choices.refetch()} />;
  if (choices.data === undefined) return <Skeleton className="list-skeleton" />;
  return <Choosing choices={choices.data} />;
}

function Choosing({ choices }: { choices: Choices }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const [off, setOff] = useState(choices.off);
  const [sms, setSms] = useState(choices.sms);
  const [phone, setPhone] = useState(choices.phone ?? "");
  const phoneId = useId();
  const saved = useMutation({
    mutationFn: () => {
      const number = phone.replace(/[^+\d]/g, "");
      const body = { off, sms, ...(number && { phone: number }) };
      return ask(api.PUT("/api/v1/auth/me/messages", { body }));
    },
    onSuccess: (now) => queries.setQueryData(KEY, now),
  });
  const changed = () => saved.reset();
  return (
    <form
      className="account-form panel"
      onSubmit={(event) => {
        event.preventDefault();
        saved.mutate();
      }}
    >
      <fieldset className="ticks">
        <legend>
          <h2>{t("me.messages")}</h2>
        </legend>
        <p>{t("mails.choose")}</p>
        {choices.optional.map((kind) => (
          <label key={kind} className="check">
            <input
              type="checkbox"
              checked={!off.includes(kind)}
              onChange={(event) => {
                changed();
                const rest = off.filter((one) => one !== kind);
                setOff(event.target.checked ? rest : [...rest, kind]);
              }}
            />
            {t(`mails.${kind}` as Key)}
          </label>
        ))}
      </fieldset>
      {choices.by_sms.length > 0 && (
        <fieldset className="ticks">
          <legend>
            <h2>{t("mails.phone")}</h2>
          </legend>
          {choices.by_sms.map((kind) => (
            <label key={kind} className="check">
              <input
                type="checkbox"
                checked={sms.includes(kind)}
                onChange={(event) => {
                  changed();
                  const rest = sms.filter((one) => one !== kind);
                  setSms(event.target.checked ? [...rest, kind] : rest);
                }}
              />
              {t(`mails.${kind}` as Key)}
            </label>
          ))}
          <div className="field">
            <label htmlFor={phoneId}>{t("mails.number")}</label>
            <input
              id={phoneId}
              type="tel"
              autoComplete="tel"
              placeholder="+4930123456"
              maxLength={24}
              required={sms.length > 0}
              value={phone}
              onChange={(event) => {
                changed();
                setPhone(event.target.value);
              }}
            />
          </div>
        </fieldset>
      )}
      <Refusal error={saved.error} />
      {saved.isSuccess && <p role="status">{t("me.saved")}</p>}
      <button type="submit" className="button" disabled={saved.isPending}>
        {t("me.save")}
      </button>
    </form>
  );
}
