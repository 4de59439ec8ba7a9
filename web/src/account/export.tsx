/** The file of an export, fetched with the link of its mail. */
import { useMutation } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { api, whole } from "../api/client";
import { useWords } from "../i18n";
import { Refusal } from "../ui/form";
import { linkToken, save } from "../ui/links";
import { useTitle } from "../ui/state";

const route = getRouteApi("/exports/$exportId");

export function ExportPage() {
  const { exportId } = route.useParams();
  const { t } = useWords();
  const [token] = useState(linkToken);
  useTitle(t("export.title"));
  const fetched = useMutation({
    mutationFn: async () => {
      const call = api.GET("/api/v1/auth/exports/{export_id}", {
        params: { path: { export_id: exportId } },
        headers: { "Link-Token": token },
        parseAs: "blob",
      });
      save((await whole(call)) as unknown as Blob, "cinema.zip");
    },
  });
  return (
    <div className="account">
      <h1>{t("export.title")}</h1>
      <p>{t(token === "" ? "account.link" : "export.text")}</p>
      <Refusal error={fetched.error} />
      {fetched.isSuccess && <p role="status">{t("export.saved")}</p>}
      <button
        type="button"
        className="button wide"
        disabled={token === "" || fetched.isPending}
        onClick={() => fetched.mutate()}
      >
        {t("export.save")}
      </button>
    </div>
  );
}
