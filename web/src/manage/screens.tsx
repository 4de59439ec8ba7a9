/** The screens of a cinema: added, renamed, deleted; each has a page for its seats. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import { useWords } from "../i18n";
import { Confirm, Field, type Fields, Form } from "../ui/form";
import { type Cinema, screensQuery } from "../ui/queries";
import { Dialog, Empty } from "../ui/state";
import { Answer, HousePage } from "./frame";

type Screen = Schemas["Screen"];

export function ScreensPage() {
  const { t } = useWords();
  return (
    <HousePage title={t("screens.title")} side={(cinema) => <Adding cinema={cinema} />}>
      {(cinema) => <List cinema={cinema} />}
    </HousePage>
  );
}

function List({ cinema }: { cinema: Cinema }) {
  const { t } = useWords();
  const screens = useQuery(screensQuery(cinema.id));
  return (
    <Answer of={screens}>
      {(all) =>
        all.length === 0 ? (
          <Empty title={t("screens.none")} text={t("screens.noneText")} />
        ) : (
          <ul className="rows panel">
            {all.map((one) => (
              <ScreenRow key={one.id} screen={one} />
            ))}
          </ul>
        )
      }
    </Answer>
  );
}

function ScreenRow({ screen }: { screen: Screen }) {
  const { t } = useWords();
  const [asked, setAsked] = useState<"rename" | "delete" | null>(null);
  const close = () => setAsked(null);
  return (
    <li className="row">
      <div>
        <strong>{screen.name}</strong>
        <br />
        <small>{t("screens.seats", { n: screen.seat_count })}</small>
      </div>
      <Link
        to="/manage/screens/$screenId"
        params={{ screenId: screen.id }}
        className="button"
        aria-label={`${t("screens.plan")}: ${screen.name}`}
      >
        {t("screens.plan")}
      </Link>
      <button
        type="button"
        className="button quiet"
        onClick={() => setAsked("rename")}
        aria-label={`${t("screens.rename")}: ${screen.name}`}
      >
        {t("screens.rename")}
      </button>
      <button
        type="button"
        className="button danger"
        onClick={() => setAsked("delete")}
        aria-label={`${t("screens.delete")}: ${screen.name}`}
      >
        {t("screens.delete")}
      </button>
      {asked === "rename" && <Renaming screen={screen} close={close} />}
      {asked === "delete" && <Deleting screen={screen} close={close} />}
    </li>
  );
}

function useAgain(cinemaId: string) {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: screensQuery(cinemaId).queryKey });
}

function Renaming({ screen, close }: { screen: Screen; close: () => void }) {
  const { t } = useWords();
  const again = useAgain(screen.cinema_id);
  const renamed = useMutation({
    mutationFn: ({ name = "" }: Fields) => {
      const header = { "If-Match": `"${screen.version ?? 1}"` };
      const params = { path: { screen_id: screen.id }, header };
      return ask(api.PUT("/api/v1/screens/{screen_id}", { params, body: { name: name.trim() } }));
    },
    onSuccess: async () => {
      await again();
      close();
    },
    onError: again,
  });
  return (
    <Dialog title={screen.name} close={close}>
      <Form
        submit={(fields) => renamed.mutate(fields)}
        isBusy={renamed.isPending}
        error={renamed.error}
        action={t("me.save")}
        fields={["name"]}
      >
        <Field name="name" label={t("screens.name")} initial={screen.name} most={100} />
        <button type="button" className="button quiet" onClick={close}>
          {t("app.back")}
        </button>
      </Form>
    </Dialog>
  );
}

function Deleting({ screen, close }: { screen: Screen; close: () => void }) {
  const { t } = useWords();
  const again = useAgain(screen.cinema_id);
  const deleted = useMutation({
    ...REPEATED,
    mutationFn: (key: string) => {
      const header = { "If-Match": `"${screen.version ?? 1}"`, "Idempotency-Key": key };
      const params = { path: { screen_id: screen.id }, header };
      return ask(api.DELETE("/api/v1/screens/{screen_id}", { params }));
    },
    onSuccess: async () => {
      await again();
      close();
    },
    onError: again,
  });
  return (
    <Confirm
      title={t("form.deleteTitle", { name: screen.name })}
      text={t("screens.deleteText")}
      action={t("screens.delete")}
      run={() => deleted.mutate(newKey())}
      isBusy={deleted.isPending}
      error={deleted.error}
      close={close}
    />
  );
}

function Adding({ cinema }: { cinema: Cinema }) {
  const { t } = useWords();
  const again = useAgain(cinema.id);
  const navigate = useNavigate();
  const added = useMutation({
    ...REPEATED,
    mutationFn: ({ key = "", name = "", rows, columns }: Fields) => {
      const grid = { rows: Number(rows), columns: Number(columns) };
      const body = { cinema_id: cinema.id, name: name.trim(), grid };
      return ask(
        api.POST("/api/v1/screens", { params: { header: { "Idempotency-Key": key } }, body }),
      );
    },
    onSuccess: async (screen) => {
      await again();
      await navigate({ to: "/manage/screens/$screenId", params: { screenId: screen.id } });
    },
  });
  return (
    <section className="panel" aria-labelledby="add">
      <h2 id="add">{t("screens.add")}</h2>
      <Form
        submit={(fields) => added.mutate({ ...fields, key: newKey() })}
        isBusy={added.isPending}
        error={added.error}
        action={t("screens.add")}
        fields={["name"]}
      >
        <Field name="name" label={t("screens.name")} most={100} />
        <div className="pair">
          <Field name="rows" type="number" label={t("screens.rows")} least={1} greatest={100} />
          <Field
            name="columns"
            type="number"
            label={t("screens.columns")}
            least={1}
            greatest={100}
          />
        </div>
        <small>{t("screens.addText")}</small>
      </Form>
    </section>
  );
}
