/** The report of a business day: numbered, unchangeable, to be printed. */
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { api, ask, type Schemas } from "../api/client";
import { clock, dayName, moment, money } from "../format";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { cinemasQuery } from "../ui/queries";
import { useTitle } from "../ui/state";
import { Answer, MANAGERS } from "./frame";
import "../styles/reports.css";

const route = getRouteApi("/manage/cash-days/$cinemaId/$day");

export function CashDayPage() {
  const { t } = useWords();
  useTitle(t("cash.title"));
  return (
    <StaffOnly roles={MANAGERS}>
      <Report />
    </StaffOnly>
  );
}

function Report() {
  const { cinemaId, day } = route.useParams();
  const { t } = useWords();
  const report = useQuery({
    queryKey: ["business-day", cinemaId, day],
    queryFn: () => {
      const params = { path: { cinema_id: cinemaId, date: day } };
      return ask(api.GET("/api/v1/cinemas/{cinema_id}/business-days/{date}", { params }));
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <>
      <Link to="/manage/cash-days" className="link actions">
        ← {t("cash.title")}
      </Link>
      <Answer of={report}>{(found) => <Sheet day={found} />}</Answer>
    </>
  );
}

function Sheet({ day: { report, digest, signature } }: { day: Schemas["BusinessDay"] }) {
  const { t, language } = useWords();
  const cinemas = useQuery(cinemasQuery);
  const { currency, sessions, tenders } = report;
  const zone = cinemas.data?.find((one) => one.id === report.cinema_id)?.time_zone ?? "UTC";
  const sumOf = (amount: number) => money({ amount, currency }, language);
  const totals = [
    ["till.expected", report.expected],
    ["till.counted", report.counted],
    ["till.variance", report.variance],
  ] as const;
  return (
    <article className="day-report">
      <header className="page-head">
        <h1>{t("cash.report", { n: report.number })}</h1>
        <p>
          {dayName(report.business_date, language)} · {report.cinema}
          {report.tax_number && ` · ${t("cash.tax", { n: report.tax_number })}`}
        </p>
        <p>{t("cash.closedAt", { when: moment(zone, report.closed_at, language) })}</p>
      </header>
      <dl className="figures">
        {totals.map(([key, amount]) => (
          <div key={key} className="panel">
            <dt>{t(key)}</dt>
            <dd>
              <strong>{sumOf(amount)}</strong>
            </dd>
          </div>
        ))}
      </dl>
      <Scrolled title={t("cash.taken")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("cash.way")}</th>
              {TAKEN.map((key) => (
                <th key={key} scope="col" className="number">
                  {t(`cash.${key}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {tenders.map((one) => (
              <tr key={one.tender}>
                <th scope="row">{t(`sale.${one.tender}`)}</th>
                <td className="number">{one.payments}</td>
                <td className="number">{sumOf(one.taken)}</td>
                <td className="number">{one.refunds}</td>
                <td className="number">{sumOf(one.refunded)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
      <Scrolled title={t("cash.byTill")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("till.title")}</th>
              <th scope="col">{t("cash.time")}</th>
              {MOVED.map((key) => (
                <th key={key} scope="col" className="number">
                  {t(LABELS[key])}
                </th>
              ))}
              <th scope="col">{t("till.note")}</th>
            </tr>
          </thead>
          <tbody>
            {sessions.map((one) => (
              <tr key={one.session_id}>
                <th scope="row">{one.till}</th>
                <td>
                  {clock(zone, one.opened_at, language)} – {clock(zone, one.closed_at, language)}
                </td>
                {MOVED.map((key) => (
                  <td key={key} className="number">
                    {sumOf(one[key])}
                  </td>
                ))}
                <td>{one.note}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
      <p className="digest">
        <small>
          SHA-256 <code>{digest}</code>
          {signature && (
            <>
              <br />
              {t("cash.signature")} <code>{signature}</code>
            </>
          )}
        </small>
      </p>
      <div className="actions">
        <button type="button" className="button" onClick={() => window.print()}>
          {t("booking.print")}
        </button>
      </div>
    </article>
  );
}

const TAKEN = ["payments", "takings", "refunds", "refunded"] as const;
const MOVED = [
  "opening",
  "paid_in",
  "paid_out",
  "banked",
  "expected",
  "counted",
  "variance",
] as const;
const LABELS = {
  opening: "till.opening",
  paid_in: "till.pay_in",
  paid_out: "till.pay_out",
  banked: "till.bank_drop",
  expected: "till.expected",
  counted: "till.counted",
  variance: "till.variance",
} as const;

function Scrolled({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what is scrolled needs the keyboard too
    <section className="sheet panel" aria-label={title} tabIndex={0}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
