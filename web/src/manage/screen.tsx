/** The seats of a screen, drawn: rows, aisles, categories, wheelchair spaces; every step can be undone. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useBlocker } from "@tanstack/react-router";
import { useEffect, useReducer, useState } from "react";
import { api, ask, type Schemas } from "../api/client";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Confirm, Newest, Refusal, STEADY } from "../ui/form";
import { screenQuery, screensQuery } from "../ui/queries";
import { Failure, Skeleton, useTitle } from "../ui/state";
import { type At, type Chosen, keyOf, problemOf, stepped, without } from "./plan";
import { PlanImport } from "./plan-import";
import { PlanMap } from "./plan-map";
import { PlanTools } from "./plan-tools";
import "../styles/manage.css";

type Screen = Schemas["Screen"];
type Drawn = Schemas["ScreenLayout"];

const MANAGERS = ["manager", "admin"] as const;
const route = getRouteApi("/manage/screens/$screenId");

export function ScreenPage() {
  const { t } = useWords();
  const { screenId } = route.useParams();
  useTitle(t("plan.title"));
  return (
    <StaffOnly roles={MANAGERS}>
      <Link to="/manage/screens" className="link">
        {t("screens.title")}
      </Link>
      <Loading key={screenId} id={screenId} />
    </StaffOnly>
  );
}

function drawnQuery(screenId: string) {
  return {
    queryKey: ["drawn", screenId],
    queryFn: () =>
      ask(
        api.GET("/api/v1/screens/{screen_id}/layout", {
          params: { path: { screen_id: screenId } },
        }),
      ),
    ...STEADY,
  };
}

function Loading({ id }: { id: string }) {
  const screen = useQuery({ ...screenQuery(id), ...STEADY });
  const drawn = useQuery(drawnQuery(id));
  const error = screen.error ?? drawn.error;
  const again = () => {
    void screen.refetch();
    void drawn.refetch();
  };
  if (error) return <Failure error={error} again={again} />;
  if (screen.data === undefined || drawn.data === undefined || !drawn.isFetchedAfterMount)
    return <Skeleton className="list-skeleton" />;
  return <Drawing screen={screen.data} drawn={drawn.data} />;
}

function Drawing({ screen, drawn }: { screen: Screen; drawn: Drawn }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const [history, step] = useReducer(stepped, { past: [], plan: drawn.layout, future: [] });
  const [chosen, choose] = useState<Chosen>(new Set());
  const [at, goTo] = useState<At>({ row: 0, seat: 0 });
  const { plan } = history;
  const isDirty = plan !== drawn.layout;
  const problem = problemOf(plan);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another version begins anew.
  useEffect(() => {
    step({ kind: "reset", plan: drawn.layout });
    choose(new Set());
  }, [drawn.layout_version]);

  const saved = useMutation({
    mutationFn: () => {
      const header = { "If-Match": `"${drawn.layout_version}"` };
      const params = { path: { screen_id: screen.id }, header };
      return ask(api.PUT("/api/v1/screens/{screen_id}/layout", { params, body: { layout: plan } }));
    },
    onSuccess: async (next) => {
      const { layout_version, seat_count } = next;
      const layout = { screen_id: screen.id, layout_version, seat_count, layout: plan };
      queries.setQueryData(drawnQuery(screen.id).queryKey, layout);
      queries.setQueryData(screenQuery(screen.id).queryKey, next);
      await queries.invalidateQueries({ queryKey: screensQuery(screen.cinema_id).queryKey });
    },
  });
  const newest = async () => {
    await queries.invalidateQueries({ queryKey: drawnQuery(screen.id).queryKey });
    saved.reset();
  };
  const targets: Chosen = chosen.size > 0 ? chosen : new Set([keyOf(at)]);
  const change = (next: typeof plan, isOther = false) => {
    saved.reset();
    if (isOther) choose(new Set());
    step({ kind: "change", plan: next });
  };
  const press = (key: "Delete" | "undo" | "redo") => {
    choose(new Set());
    if (key === "Delete") change(without(plan, targets), true);
    else step({ kind: key });
  };
  const seats = plan.rows.reduce((sum, row) => sum + row.seats.length, 0);
  const lastRow = Math.max(0, plan.rows.length - 1);
  const row = Math.min(at.row, lastRow);
  const seat = Math.max(0, Math.min(at.seat, (plan.rows[row]?.seats.length ?? 1) - 1));
  return (
    <>
      <header className="page-head">
        <h1>{screen.name}</h1>
        <p>{t("plan.text")}</p>
      </header>
      <div className="office plan">
        <div className="office-main">
          <PlanMap
            plan={plan}
            chosen={chosen}
            choose={choose}
            at={{ row, seat }}
            goTo={goTo}
            press={press}
          />
          <p role="status">
            {chosen.size > 0
              ? t("plan.chosen", { n: chosen.size, seats })
              : t("screens.seats", { n: seats })}
          </p>
          <Legend />
        </div>
        <div className="office-side">
          <PlanTools
            plan={plan}
            at={{ row, seat }}
            targets={targets}
            isChosen={chosen.size > 0}
            change={change}
            choose={choose}
            history={history}
            press={press}
          />
          <section className="panel plan-save" aria-label={t("plan.save")}>
            {problem && (
              <p className="warning" role="alert">
                {t(`plan.problem.${problem.code}`, { row: problem.row })}
              </p>
            )}
            <Refusal error={saved.error} />
            <Newest error={saved.error} again={newest} />
            <button
              type="button"
              className="button wide"
              disabled={saved.isPending || problem !== null || !isDirty}
              onClick={() => saved.mutate()}
            >
              {t("plan.save")}
            </button>
            <p>
              <small role="status">{saved.isSuccess ? t("plan.saved") : t("plan.keep")}</small>
            </p>
          </section>
          <PlanImport
            screen={screen}
            version={drawn.layout_version}
            isDirty={isDirty}
            done={newest}
          />
        </div>
      </div>
      <Leaving isDirty={isDirty} />
    </>
  );
}

function Legend() {
  const { t } = useWords();
  return (
    <ul className="legend" aria-label={t("seats.legend")}>
      {(["regular", "premium", "vip"] as const).map((one) => (
        <li key={one}>
          <svg viewBox="0 0 26 26" width="20" height="20" aria-hidden="true">
            <g className={`seat available ${one}`}>
              <rect x="1" y="1" width="24" height="24" rx="7" className="seat-shape" />
            </g>
          </svg>
          {t(`seats.${one}`)}
        </li>
      ))}
      <li>
        <span aria-hidden="true">♿</span> {t("seats.accessible")}
      </li>
      <li>
        <span aria-hidden="true">7+</span> {t("seats.companion")}
      </li>
    </ul>
  );
}

/** Whoever leaves a plan that is not saved is asked first. */
function Leaving({ isDirty }: { isDirty: boolean }) {
  const { t } = useWords();
  const blocker = useBlocker({
    shouldBlockFn: () => isDirty,
    enableBeforeUnload: () => isDirty,
    withResolver: true,
  });
  if (blocker.status !== "blocked") return null;
  return (
    <Confirm
      title={t("plan.leaveTitle")}
      text={t("plan.leaveText")}
      action={t("plan.leave")}
      run={blocker.proceed}
      isBusy={false}
      error={null}
      close={blocker.reset}
    />
  );
}
