/** A seating plan of pretix as the next version of a screen's seats: looked at first, then used. */
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import { useWords } from "../i18n";
import { Refusal } from "../ui/form";

interface ImportProps {
  screen: Schemas["Screen"];
  version: number;
  isDirty: boolean;
  done: () => Promise<void>;
}

type Side = "top" | "bottom";

export function PlanImport({ screen, version, isDirty, done }: ImportProps) {
  const { t } = useWords();
  const [file, setFile] = useState<File | null>(null);
  const [side, setSide] = useState<Side>("top");
  const sent = useMutation({
    ...REPEATED,
    mutationFn: ({ key, dry_run, plan }: { key: string; dry_run: boolean; plan: File }) => {
      const form = new FormData();
      form.set("file", plan);
      const header = { "If-Match": `"${version}"`, ...(!dry_run && { "Idempotency-Key": key }) };
      const query = { dry_run, screen_at: side };
      const params = { path: { screen_id: screen.id }, query, header };
      const body = form as unknown as { file: string };
      return ask(api.POST("/api/v1/screens/{screen_id}/layout/import", { params, body }));
    },
    onSuccess: (result) => (result.screen === null ? undefined : done()),
  });
  const send = (dry_run: boolean) => file && sent.mutate({ key: newKey(), dry_run, plan: file });
  const isUnusable = sent.error instanceof ApiError && sent.error.code === "UNUSABLE_PLAN";
  return (
    <details className="panel plan-import">
      <summary>{t("plan.import")}</summary>
      <p>
        <small>{t("plan.importText")}</small>
      </p>
      <div className="field">
        <label htmlFor="plan-file">{t("plan.file")}</label>
        <input
          id="plan-file"
          type="file"
          accept="application/json,.json"
          onChange={(event) => {
            sent.reset();
            setFile(event.target.files?.[0] ?? null);
          }}
        />
      </div>
      <div className="field">
        <label htmlFor="plan-side">{t("plan.side")}</label>
        <select
          id="plan-side"
          value={side}
          onChange={(event) => {
            sent.reset();
            setSide(event.target.value as Side);
          }}
        >
          <option value="top">{t("plan.top")}</option>
          <option value="bottom">{t("plan.bottom")}</option>
        </select>
      </div>
      {isUnusable ? (
        <p className="warning" role="alert">
          {t("plan.unusable", { path: String((sent.error as ApiError).details.path ?? "") })}
        </p>
      ) : (
        <Refusal error={sent.error} />
      )}
      {sent.data && <Report report={sent.data.report} isUsed={sent.data.screen !== null} />}
      <div className="actions">
        <button
          type="button"
          className="button quiet"
          disabled={file === null || sent.isPending}
          onClick={() => send(true)}
        >
          {t("plan.look")}
        </button>
        <button
          type="button"
          className="button"
          disabled={sent.data === undefined || sent.data.screen !== null || sent.isPending}
          onClick={() => send(false)}
        >
          {t("plan.use")}
        </button>
      </div>
      {isDirty && (
        <p>
          <small>{t("plan.importDirty")}</small>
        </p>
      )}
    </details>
  );
}

function Report({ report, isUsed }: { report: Schemas["ImportReport"]; isUsed: boolean }) {
  const { t } = useWords();
  const categories = Object.entries(report.categories).map(([name, n]) => `${name}: ${n}`);
  return (
    <div role="status">
      <p>
        {t(isUsed ? "plan.imported" : "plan.found", {
          name: report.name,
          seats: report.seats,
          rows: report.rows.length,
        })}
      </p>
      <p>
        <small>{categories.join(" · ")}</small>
      </p>
      {report.notes.length > 0 && (
        <ul className="notes">
          {report.notes.map((note) => (
            <li key={note.code}>
              <small>
                {note.message} ({note.count})
              </small>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
