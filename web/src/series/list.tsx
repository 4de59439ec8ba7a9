/** The series of whoever is signed in, the newest first. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useSession } from "../api/session";
import { BookingsFrame, useShow } from "../bookings/list";
import { moment, money } from "../format";
import { useWords } from "../i18n";
import { Empty, Failure, Skeleton } from "../ui/state";
import { SeriesStatus } from "./booked";
import { allSeriesQuery, type Series } from "./queries";

export function SeriesListPage() {
  return (
    <BookingsFrame current="series" next="/bookings/series">
      <AllSeries />
    </BookingsFrame>
  );
}

function AllSeries() {
  const { t } = useWords();
  const session = useSession();
  const series = useInfiniteQuery({ ...allSeriesQuery, enabled: session.kind === "user" });
  if (session.kind === "user" && series.isError)
    return <Failure error={series.error} again={() => series.refetch()} />;
  if (session.kind === "user" && series.data === undefined)
    return <Skeleton className="list-skeleton" />;
  const all = series.data?.pages.flatMap((page) => page.data) ?? [];
  if (all.length === 0) {
    return (
      <Empty title={t("bookings.none")} text={t("series.lead")}>
        <Link to="/series" className="button">
          {t("series.begin")}
        </Link>
      </Empty>
    );
  }
  return (
    <>
      <ul className="rows panel">
        {all.map((one) => (
          <li key={one.id} className="row">
            <Line series={one} />
          </li>
        ))}
      </ul>
      <div className="actions">
        {series.hasNextPage && (
          <button
            type="button"
            className="button quiet"
            disabled={series.isFetchingNextPage}
            onClick={() => series.fetchNextPage()}
          >
            {t("bookings.more")}
          </button>
        )}
        <Link to="/series" className="button quiet">
          {t("series.begin")}
        </Link>
      </div>
    </>
  );
}

function Line({ series }: { series: Series }) {
  const { t, many, language } = useWords();
  const [first] = series.bookings;
  const { film, showtime, cinema } = useShow(first?.showtime_id);
  const seats = first?.seats.map((seat) => seat.label).join(", ");
  return (
    <>
      <div>
        <strong>{many("series.of", series.bookings.length, { film: film?.title ?? "…" })}</strong>
        <SeriesStatus series={series} />
        <br />
        <small>
          {showtime && cinema && (
            <>
              {t("series.from", { when: moment(cinema.time_zone, showtime.starts_at, language) })}
              {" · "}
              {cinema.name}
              {" · "}
            </>
          )}
          {seats} · {money(series.total, language)}
        </small>
      </div>
      <Link to="/series/$seriesId" params={{ seriesId: series.id }} className="button quiet">
        {t("series.show")}
      </Link>
    </>
  );
}
