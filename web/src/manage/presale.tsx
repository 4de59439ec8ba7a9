/** Presale codes of a showtime: made, bounded anew, ended; how often each was used. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, ask, type Schemas, serverNow } from "../api/client";
import { dayIn, moment } from "../format";
import { useWords } from "../i18n";
import { Field, Form, Refusal } from "../ui/form";
import type { Cinema } from "../ui/queries";
import { Answer } from "./frame";
import { instantAt } from "./timetable-parts";

type Code = Schemas["PresaleCode"];

const USES_MOST = 100_000;
const FIELDS = ["code", "starts_at", "max_uses", "uses_per_customer"] as const;

interface PresaleProps {
  showtimeId: string;
  cinema: Cinema;
  back: () => void;
}

function useAgain(showtimeId: string) {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: ["presale", showtimeId] });
}

export function Presale({ showtimeId, cinema, back }: PresaleProps) {
  const { t } = useWords();
  const codes = useQuery({
    queryKey: ["presale", showtimeId],
    queryFn: () => {
      const params = { path: { showtime_id: showtimeId } };
      return ask(api.GET("/api/v1/showtimes/{showtime_id}/presale-codes", { params }));
    },
    staleTime: 0,
  });
  return (
    <>
      <p>{t("presale.text")}</p>
      <Answer of={codes} skeleton="times-skeleton">
        {(all) => (
          <ul className="rows">
            {all.map((one) => (
              <Row key={`${one.id} ${one.version}`} code={one} cinema={cinema} />
            ))}
          </ul>
        )}
      </Answer>
      <Adding showtimeId={showtimeId} cinema={cinema} />
      <button type="button" className="button quiet" onClick={back}>
        {t("app.back")}
      </button>
    </>
  );
}

function Row({ code, cinema }: { code: Code; cinema: Cinema }) {
  const { t, language } = useWords();
  const onSettled = useAgain(code.showtime_id);
  const params = {
    path: { showtime_id: code.showtime_id, code_id: code.id },
    header: { "If-Match": `"${code.version}"` },
  };
  const bounded = useMutation({
    mutationFn: (most: number) => {
      const { starts_at, uses_per_customer } = code;
      const body = { starts_at, uses_per_customer, max_uses: most };
      return ask(
        api.PUT("/api/v1/showtimes/{showtime_id}/presale-codes/{code_id}", { params, body }),
      );
    },
    onSettled,
  });
  const ended = useMutation({
    mutationFn: () =>
      ask(api.DELETE("/api/v1/showtimes/{showtime_id}/presale-codes/{code_id}", { params })),
    onSettled,
  });
  return (
    <li className="row">
      <div>
        <code>{code.code}</code>
        <br />
        <small>
          {t("promos.usedOf", { n: code.uses, max_uses: code.max_uses })} ·{" "}
          {t("presale.from", { when: moment(cinema.time_zone, code.starts_at, language) })}
        </small>
        <Refusal error={bounded.error ?? ended.error} />
        <form
          className="best"
          onSubmit={(event) => {
            event.preventDefault();
            bounded.mutate(Number(new FormData(event.currentTarget).get("most")));
          }}
        >
          <label>
            {t("presale.most")}{" "}
            <input
              name="most"
              type="number"
              required
              min={1}
              max={USES_MOST}
              defaultValue={code.max_uses}
            />
          </label>
          <button type="submit" className="button quiet" disabled={bounded.isPending}>
            {t("me.save")}
          </button>
        </form>
      </div>
      <button
        type="button"
        className="button danger"
        disabled={ended.isPending}
        onClick={() => ended.mutate()}
        aria-label={`${t("presale.end")}: ${code.code}`}
      >
        {t("presale.end")}
      </button>
    </li>
  );
}

function Adding({ showtimeId, cinema }: { showtimeId: string; cinema: Cinema }) {
  const { t } = useWords();
  const onSuccess = useAgain(showtimeId);
  const added = useMutation({
    mutationFn: (body: Schemas["PresaleInput"]) => {
      const params = { path: { showtime_id: showtimeId } };
      return ask(api.POST("/api/v1/showtimes/{showtime_id}/presale-codes", { params, body }));
    },
    onSuccess,
  });
  return (
    <Form
      submit={({ code = "", date, time, max_uses, uses_per_customer }, form) => {
        const today = dayIn(cinema.time_zone, serverNow());
        const at = instantAt(cinema.time_zone, { date, time }, today) ?? serverNow();
        const body = {
          code: code.trim(),
          starts_at: new Date(at).toISOString(),
          max_uses: Number(max_uses),
          uses_per_customer: Number(uses_per_customer),
        };
        added.mutate(body, { onSuccess: () => form.reset() });
      }}
      isBusy={added.isPending}
      error={added.error}
      action={t("presale.add")}
      fields={FIELDS}
      codes={{ NAME_TAKEN: "code" }}
    >
      <Field
        name="code"
        label={t("presale.code")}
        hint={t("presale.codeHint")}
        pattern="[!-~]{6,64}"
        most={64}
      />
      <div className="pair">
        <Field name="date" type="date" label={t("home.day")} optional />
        <Field name="time" type="time" label={t("table.start")} optional />
      </div>
      <small>{t("presale.fromHint")}</small>
      <div className="pair">
        <Field
          name="max_uses"
          type="number"
          label={t("presale.most")}
          least={1}
          greatest={USES_MOST}
          initial="100"
        />
        <Field
          name="uses_per_customer"
          type="number"
          label={t("presale.each")}
          least={1}
          greatest={USES_MOST}
          initial="1"
        />
      </div>
    </Form>
  );
}
