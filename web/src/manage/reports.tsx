/** Reports: today at a glance, and figures of days by what a manager wants to compare. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { ApiError, api, ask, type Schemas, serverNow } from "../api/client";
import { useSession } from "../api/session";
import { clock, dayIn, money } from "../format";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Refusal } from "../ui/form";
import { save } from "../ui/links";
import { cinemasQuery } from "../ui/queries";
import { Empty, Failure, Skeleton, showCurrent, useTitle } from "../ui/state";
import { GROUPS, type Group, groupOf, lengths, reportsOf } from "./parts";
import { csv, type Sheet, sheet, type Wanted } from "./sheets";
import "../styles/reports.css";

type Sums = Schemas["Sums"];

const route = getRouteApi("/manage/reports");
const MANAGERS = ["manager", "admin"] as const;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const DAY_MS = 24 * 3_600_000;

export function ReportsPage() {
  const { t } = useWords();
  useTitle(t("reports.title"));
  return (
    <StaffOnly roles={MANAGERS}>
      <Reports />
    </StaffOnly>
  );
}

function Reports() {
  const { t } = useWords();
  const { cinema } = route.useSearch();
  return (
    <>
      <header className="page-head">
        <h1>{t("reports.title")}</h1>
      </header>
      <Filters />
      <Dashboard cinema={cinema} />
      <Report />
    </>
  );
}

/** What the address asks for, and the last seven days where it says none. */
function useWanted(): Wanted {
  const { report = "revenue", from, to, cinema, by } = route.useSearch();
  const last = to ?? dayIn(ZONE, serverNow());
  const week = dayIn("UTC", Date.parse(`${last}T12:00:00Z`) - 6 * DAY_MS);
  return { report, from: from ?? week, to: last, cinema, by: groupOf(report, by) };
}

function Filters() {
  const { t } = useWords();
  const navigate = useNavigate({ from: "/manage/reports" });
  const wanted = useWanted();
  const cinemas = useQuery(cinemasQuery);
  const change = (part: { from?: string; to?: string; cinema?: string }) =>
    void navigate({
      search: (before) => ({ ...before, ...part }),
      replace: true,
      resetScroll: false,
    });
  return (
    <div className="search-row">
      {(["from", "to"] as const).map((end) => (
        <label key={end} className="field">
          <span>{t(`reports.${end}`)}</span>
          <input
            type="date"
            value={wanted[end]}
            required
            onChange={(event) => event.target.value && change({ [end]: event.target.value })}
          />
        </label>
      ))}
      <label className="field grow">
        <span>{t("home.cinema")}</span>
        <select
          value={wanted.cinema ?? ""}
          onChange={(event) => change({ cinema: event.target.value || undefined })}
        >
          <option value="">{t("home.any")}</option>
          {cinemas.data?.map((one) => (
            <option key={one.id} value={one.id}>
              {one.name}, {one.city}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}

function Dashboard({ cinema }: { cinema: string | undefined }) {
  const { t, language } = useWords();
  const board = useQuery({
    queryKey: ["dashboard", cinema],
    queryFn: () => {
      const params = { query: { cinema_id: cinema } };
      return ask(api.GET("/api/v1/admin/dashboard", { params }));
    },
    staleTime: 10_000,
    refetchInterval: 30_000,
  });
  if (board.error instanceof ApiError && board.error.status === 403) return null;
  if (board.isError) return <Refusal error={board.error} />;
  if (board.data === undefined) return <Skeleton className="times-skeleton" />;
  const { today, this_week, last_week, live } = board.data;
  return (
    <>
      <div className="figures">
        <Figures title={t("reports.today")} sums={today} />
        <Figures title={t("reports.thisWeek")} sums={this_week} />
        <Figures title={t("reports.lastWeek")} sums={last_week} />
      </div>
      {live.length > 0 && (
        <details className="panel live">
          <summary>{t("reports.live", { n: live.length })}</summary>
          <ul className="rows">
            {live.map((one) => (
              <li key={one.showtime_id} className="row">
                <span>
                  {clock(ZONE, one.starts_at, language)} <strong>{one.film}</strong>
                  <br />
                  <small>
                    {one.cinema}, {one.screen}
                  </small>
                </span>
                <span>
                  {t("reports.soldOf", { n: one.sold, seats: one.seats, inside: one.admitted })}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function Figures({ title, sums }: { title: string; sums: Sums[] }) {
  const { t, language } = useWords();
  const number = new Intl.NumberFormat(language);
  return (
    <section className="panel">
      <h2>{title}</h2>
      {sums.length === 0 && <p>–</p>}
      {sums.map((one) => (
        <p key={one.currency}>
          <strong>{money({ amount: one.net, currency: one.currency }, language)}</strong>{" "}
          {t("reports.net")}
          <br />
          <small>
            {t("reports.sums", {
              tickets: number.format(one.sold),
              showtimes: number.format(one.showtimes),
              percent: one.occupancy === null ? "–" : number.format(one.occupancy),
            })}
          </small>
        </p>
      ))}
    </section>
  );
}

function Report() {
  const words = useWords();
  const { t, language } = words;
  const session = useSession();
  const navigate = useNavigate({ from: "/manage/reports" });
  const wanted = useWanted();
  const { report, by } = wanted;
  const groups: readonly Group[] = GROUPS[report];
  const found = useQuery({
    queryKey: ["report", wanted, language],
    queryFn: () => sheet(wanted, words),
    staleTime: 10_000,
  });
  const saved = useMutation({
    mutationFn: async () => save(await csv(wanted), `${report}-${wanted.from}-${wanted.to}.csv`),
  });
  const isBarred = found.error instanceof ApiError && found.error.status === 403;
  const isRefused = found.error instanceof ApiError && found.error.status === 400;
  return (
    <section className="report">
      <h2 className="unseen">{t(`reports.${report}`)}</h2>
      <nav ref={showCurrent} className="days" aria-label={t("reports.title")}>
        {reportsOf(session.kind === "user" ? session.user.role : "").map((one) => (
          <Link
            key={one}
            from="/manage/reports"
            to="/manage/reports"
            search={(before) => ({ ...before, report: one, by: undefined })}
            replace
            resetScroll={false}
            className="chip"
            aria-current={one === report ? "page" : undefined}
          >
            {t(`reports.${one}`)}
          </Link>
        ))}
      </nav>
      <div className="search-row">
        {groups.length > 0 && (
          <div className="field">
            <label htmlFor="by">{t("reports.by")}</label>
            <select
              id="by"
              value={by}
              onChange={(event) => {
                const chosen = groups.find((one) => one === event.target.value);
                void navigate({
                  search: (before) => ({ ...before, by: chosen }),
                  replace: true,
                  resetScroll: false,
                });
              }}
            >
              {groups.map((one) => (
                <option key={one} value={one}>
                  {t(`reports.by.${one}`)}
                </option>
              ))}
            </select>
          </div>
        )}
        <button
          type="button"
          className="button quiet"
          disabled={saved.isPending || !found.isSuccess}
          onClick={() => saved.mutate()}
        >
          {t("reports.csv")}
        </button>
      </div>
      {report === "recommendations" && <p>{t("reports.experimentText")}</p>}
      <Refusal error={saved.error} />
      {isBarred ? (
        <p className="warning" role="alert">
          {t("scan.forbidden")}
        </p>
      ) : isRefused ? (
        <Refusal error={found.error} />
      ) : found.isError ? (
        <Failure error={found.error} again={() => found.refetch()} />
      ) : found.data === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : (
        <Table of={found.data} title={t(`reports.${report}`)} />
      )}
    </section>
  );
}

function Table({ of, title }: { of: Sheet; title: string }) {
  const { t } = useWords();
  const bars = lengths(of.lines);
  if (of.lines.length === 0)
    return <Empty title={t("reports.none")} text={t("reports.noneText")} />;
  return (
    <>
      {(of.meta.rebuilding || of.meta.waiting > 0) && (
        <p className="warning">
          {t(of.meta.rebuilding ? "reports.rebuilding" : "reports.waiting")}
        </p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what is scrolled needs the keyboard too */}
      <section className="sheet panel" aria-label={title} tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("reports.what")}</th>
              <td />
              {of.columns.map((key) => (
                <th key={key} scope="col" className="number">
                  {t(key)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {of.lines.map((line, n) => (
              <tr key={line.key}>
                <th scope="row">{line.label}</th>
                <td className="bar-cell">
                  <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                    <rect width={bars[n]} height="10" />
                  </svg>
                </td>
                {line.cells.map((cell, column) => (
                  <td key={of.columns[column]} className="number">
                    {cell}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}
