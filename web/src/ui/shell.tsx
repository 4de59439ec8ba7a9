/** What stands around every page. */
import { useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { signOut } from "../account/actions";
import { ready, useSession } from "../api/session";
import { type Language, setLanguage, useWords } from "../i18n";
import { showCurrent } from "./state";
import { setTheme, THEMES, type Theme, theme } from "./theme";

/** What is the same for everybody, and stays when somebody leaves. */
const PUBLIC = [
  "site",
  "cinemas",
  "films",
  "film",
  "fullness",
  "reviews",
  "showtimes",
  "showtime",
  "ticket-types",
];

export function Shell() {
  const { t } = useWords();
  useEffect(() => {
    void ready();
  }, []);
  return (
    <>
      <a href="#main" className="skip">
        {t("app.skip")}
      </a>
      <header className="bar">
        <Link to="/" className="brand">
          <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
            <path d="M8 19v-7a3 3 0 0 1 3-3h10a3 3 0 0 1 3 3v7" />
            <rect x="5" y="17" width="22" height="7" rx="2.5" />
          </svg>
          cinema
        </Link>
        <Account />
      </header>
      <StaffNav />
      <Main />
      <footer className="foot">
        <p>{t("app.footer")}</p>
        <Choices />
        <a href="/docs" className="link">
          {t("app.docs")}
        </a>
      </footer>
    </>
  );
}

/** A new page takes the focus, so that a screen reader reads it and Tab begins there. */
function Main() {
  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const first = useRef(true);
  useEffect(() => {
    if (path === undefined) return;
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [path]);
  return (
    <main id="main" ref={main} tabIndex={-1}>
      <Outlet />
    </main>
  );
}

function Account() {
  const { t } = useWords();
  const session = useSession();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const leave = async () => {
    await signOut().catch(() => undefined);
    queries.removeQueries({ predicate: ({ queryKey }) => !PUBLIC.includes(String(queryKey[0])) });
    await navigate({ to: "/" });
  };
  return (
    <nav className="account-nav">
      {session.kind === "user" && (
        <Link to="/for-you" className="link spare">
          {t("app.forYou")}
        </Link>
      )}
      <Link to="/bookings" className="link">
        {t("app.bookings")}
      </Link>
      {session.kind === "user" ? (
        <>
          <Link to="/account" className="icon-link" aria-label={t("app.account")}>
            <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
              <circle cx="12" cy="8" r="4" />
              <path d="M4 21c1-4.5 4-6.5 8-6.5s7 2 8 6.5" />
            </svg>
          </Link>
          <button type="button" className="button quiet" title={session.user.email} onClick={leave}>
            {t("app.signOut")}
          </button>
        </>
      ) : (
        <Link to="/sign-in" className="button quiet">
          {t("app.signIn")}
        </Link>
      )}
    </nav>
  );
}

/** Pages of work: a role sees only its own. */
function StaffNav() {
  const { t } = useWords();
  const session = useSession();
  const nav = useRef<HTMLElement>(null);
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another path has another link.
  useEffect(() => showCurrent(nav.current), [path, session]);
  if (session.kind !== "user" || session.user.role === "customer") return null;
  return (
    <nav ref={nav} className="staff-nav" aria-label={t("staff.nav")}>
      <Link to="/staff/sales" className="link">
        {t("staff.sales")}
      </Link>
      <Link to="/staff/scan" className="link">
        {t("staff.scan")}
      </Link>
      <Link to="/staff/bookings" className="link">
        {t("find.title")}
      </Link>
      {session.user.role !== "staff" && (
        <>
          <Link to="/manage/timetable" className="link">
            {t("table.title")}
          </Link>
          <Link to="/manage/screens" className="link">
            {t("screens.title")}
          </Link>
          <Link to="/manage/prices" className="link">
            {t("prices.title")}
          </Link>
          <Link to="/manage/promo-codes" className="link">
            {t("promos.title")}
          </Link>
          <Link to="/manage/cash-days" className="link">
            {t("cash.title")}
          </Link>
          <Link to="/manage/reports" className="link">
            {t("reports.title")}
          </Link>
        </>
      )}
      {session.user.role === "admin" && (
        <>
          <Link to="/admin/films" className="link">
            {t("films.title")}
          </Link>
          <Link to="/admin/cinemas" className="link">
            {t("cinemas.title")}
          </Link>
          <Link to="/admin/users" className="link">
            {t("users.title")}
          </Link>
          <Link to="/admin/reviews" className="link">
            {t("reviews.title")}
          </Link>
          <Link to="/admin/messages" className="link">
            {t("sent.title")}
          </Link>
          <Link to="/admin/webhooks" className="link">
            {t("hooks.title")}
          </Link>
          <Link to="/admin/audit" className="link">
            {t("audit.title")}
          </Link>
          <Link to="/admin/live" className="link">
            {t("live.title")}
          </Link>
        </>
      )}
    </nav>
  );
}

function Choices() {
  const { t, language } = useWords();
  const [chosen, setChosen] = useState<Theme>(theme);
  return (
    <div className="choices">
      <label>
        <span>{t("app.language")}</span>
        <select
          value={language}
          onChange={(event) => void setLanguage(event.target.value as Language)}
        >
          <option value="en">English</option>
          <option value="de">Deutsch</option>
        </select>
      </label>
      <label>
        <span>{t("app.theme")}</span>
        <select
          value={chosen}
          onChange={(event) => {
            const next = event.target.value as Theme;
            setTheme(next);
            setChosen(next);
          }}
        >
          {THEMES.map((one) => (
            <option key={one} value={one}>
              {t(`app.theme.${one}`)}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
