/** Points, what they are worth, and what has changed them. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api, type Schemas, whole } from "../api/client";
import { moment, money } from "../format";
import { useWords } from "../i18n";
import { pointsQuery } from "../ui/queries";
import { Failure, Skeleton } from "../ui/state";

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function PointsPart() {
  const { t, language } = useWords();
  const points = useQuery(pointsQuery);
  if (points.isError) return <Failure error={points.error} again={() => points.refetch()} />;
  if (points.data === undefined) return <Skeleton className="sum-skeleton" />;
  const { balances } = points.data;
  return (
    <>
      <section className="panel" aria-labelledby="points">
        <h2 id="points">{t("me.points")}</h2>
        {balances.length === 0 && <p>{t("points.none")}</p>}
        {balances.map(({ points: count, worth, expiring }) => (
          <div key={worth.currency} className="balance">
            <strong>{t("points.have", { n: count })}</strong>
            <span>{money(worth, language)}</span>
            {expiring && (
              <small>
                {t("points.expiring", {
                  n: expiring.points,
                  when: moment(ZONE, expiring.at, language),
                })}
              </small>
            )}
          </div>
        ))}
        <p>{t("points.text")}</p>
      </section>
      <Entries />
    </>
  );
}

function Entries() {
  const { t } = useWords();
  const entries = useInfiniteQuery({
    queryKey: ["points", "entries"],
    queryFn: ({ pageParam }) => {
      const query = { limit: 20, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/loyalty/entries", { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
  });
  if (entries.isError) return <Failure error={entries.error} again={() => entries.refetch()} />;
  if (entries.data === undefined) return <Skeleton className="sum-skeleton" />;
  const all = entries.data.pages.flatMap((page) => page.data);
  if (all.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="entries">
      <h2 id="entries">{t("points.entries")}</h2>
      <ul className="rows">
        {all.map((one) => (
          <Entry key={one.id} entry={one} />
        ))}
      </ul>
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
    </section>
  );
}

function Entry({ entry }: { entry: Schemas["PointsEntry"] }) {
  const { t, language } = useWords();
  const { kind, points, at, booking_id } = entry;
  return (
    <li className="row">
      <div>
        {t(`points.${kind}`)}{" "}
        {booking_id && (
          <Link to="/bookings/$bookingId" params={{ bookingId: booking_id }} className="link">
            {t("points.booking")}
          </Link>
        )}
        <br />
        <small>{moment(ZONE, at, language)}</small>
      </div>
      <strong className="price">
        {new Intl.NumberFormat(language, { signDisplay: "exceptZero" }).format(points)}
      </strong>
    </li>
  );
}
