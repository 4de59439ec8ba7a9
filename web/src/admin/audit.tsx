/** The audit log: who has changed what, newest first. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { api, type Schemas, whole } from "../api/client";
import { moment } from "../format";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import "../styles/manage.css";

type Entry = Schemas["AuditRow"];

const ADMINS = ["admin"] as const;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const route = getRouteApi("/admin/audit");

export function AuditPage() {
  const { t } = useWords();
  useTitle(t("audit.title"));
  return (
    <StaffOnly roles={ADMINS}>
      <Audit />
    </StaffOnly>
  );
}

function Audit() {
  const { t } = useWords();
  const { action } = route.useSearch();
  const navigate = useNavigate();
  const entries = useInfiniteQuery({
    queryKey: ["audit", action ?? ""],
    queryFn: ({ pageParam }) => {
      const query = { action, limit: 50, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/admin/audit", { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
    staleTime: 0,
  });
  const all = entries.data?.pages.flatMap((page) => page.data);
  return (
    <>
      <header className="page-head">
        <h1>{t("audit.title")}</h1>
        <p>{t("audit.text")}</p>
      </header>
      <form
        className="search-row"
        onSubmit={(event) => {
          event.preventDefault();
          const asked = String(new FormData(event.currentTarget).get("action")).trim();
          const search = { action: asked || undefined };
          void navigate({ to: "/admin/audit", search, replace: true });
        }}
      >
        <label className="field grow">
          <span>{t("audit.action")}</span>
          <input
            key={action ?? ""}
            type="search"
            name="action"
            maxLength={64}
            defaultValue={action}
          />
        </label>
        <button type="submit" className="button">
          {t("users.find")}
        </button>
      </form>
      {entries.isError ? (
        <Failure error={entries.error} again={() => entries.refetch()} />
      ) : all === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : all.length === 0 ? (
        <Empty title={t("reviews.noneHere")} text={t("audit.none")} />
      ) : (
        <ul className="rows panel">
          {all.map((one) => (
            <Row key={one.id} entry={one} />
          ))}
        </ul>
      )}
      {entries.hasNextPage && (
        <button
          type="button"
          className="button quiet"
          disabled={entries.isFetchingNextPage}
          onClick={() => entries.fetchNextPage()}
        >
          {t("bookings.more")}
        </button>
      )}
    </>
  );
}

function Row({ entry }: { entry: Entry }) {
  const { t, language } = useWords();
  const facts = [
    entry.actor_id ? t("audit.by", { id: entry.actor_id }) : t("audit.server"),
    entry.target_id && t("audit.of", { id: entry.target_id }),
    entry.address,
  ];
  const [before, after] = [entry.before, entry.after].map((one) => JSON.stringify(one, null, 2));
  return (
    <li className="row">
      <div>
        <strong>{entry.action}</strong> <small>{moment(ZONE, entry.at, language)}</small>
        <br />
        <small>{facts.filter(Boolean).join(" · ")}</small>
        {before !== after && (
          <details className="changes">
            <summary>{t("audit.changes")}</summary>
            <div className="pair">
              <div>
                <h3>{t("audit.before")}</h3>
                <pre>{before}</pre>
              </div>
              <div>
                <h3>{t("audit.after")}</h3>
                <pre>{after}</pre>
              </div>
            </div>
          </details>
        )}
      </div>
    </li>
  );
}
