/** The seats that are free at all showtimes of a series, and the step from them to paying. */
import { type UseQueryResult, useQueries, useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { api, ask, type Schemas } from "../api/client";
import { money, sum } from "../format";
import { useWords } from "../i18n";
import { areApart, gridOf, type ShownSeat } from "../seats/grid";
import { Legend, SEATS_MOST, SeatList, SeatMap } from "../seats/map";
import { SeatStore } from "../seats/store";
import { type Cinema, layoutQuery, type Movie, type Showtime } from "../ui/queries";
import { Failure, Skeleton } from "../ui/state";
import { Paying } from "./paying";
import { newsOf, together } from "./together";

type AllSeats = Schemas["SeatMap"];

const route = getRouteApi("/series");
const LOOK_EVERY_MS = 10_000;

export interface SeriesShows {
  shows: Showtime[];
  films: Movie[];
  cinema: Cinema;
}

function mapQuery(showtimeId: string) {
  return {
    queryKey: ["seats", showtimeId],
    queryFn: () => {
      const path = { showtime_id: showtimeId };
      return ask(api.GET("/api/v1/showtimes/{showtime_id}/seats", { params: { path } }));
    },
    staleTime: 0,
    gcTime: 0,
    refetchInterval: LOOK_EVERY_MS,
  };
}

function joined(results: UseQueryResult<AllSeats>[]) {
  const maps = results.flatMap((one) => one.data ?? []);
  return {
    error: results.find((one) => one.data === undefined && one.error)?.error ?? null,
    version: maps[0]?.layout_version,
    seats: maps.length === results.length ? together(maps.map((one) => one.seats)) : null,
    again: () => void Promise.all(results.map((one) => one.refetch())),
  };
}

export function Together(series: SeriesShows) {
  const { t } = useWords();
  const { shows } = series;
  const maps = useQueries({ queries: shows.map((one) => mapQuery(one.id)), combine: joined });
  const layout = useQuery({
    ...layoutQuery(shows[0]?.screen_id ?? "", maps.version),
    enabled: maps.version !== undefined,
  });
  if (maps.error) return <Failure error={maps.error} again={maps.again} />;
  return (
    <section className="series-seats" aria-labelledby="series-seats">
      <h2 id="series-seats">{t("series.seats")}</h2>
      {maps.seats === null || layout.isPending ? (
        <Skeleton className="map-skeleton" />
      ) : (
        <Choosing
          {...series}
          seats={maps.seats}
          layout={layout.data?.layout ?? null}
          again={maps.again}
        />
      )}
    </section>
  );
}

interface ChoosingProps extends SeriesShows {
  seats: ShownSeat[];
  layout: Schemas["Layout"] | null;
  again: () => void;
}

function Choosing({ seats, layout, again, ...series }: ChoosingProps) {
  const { t, many, language } = useWords();
  const wish = route.useSearch();
  const navigate = useNavigate();
  const grid = useMemo(() => gridOf(seats, layout), [seats, layout]);
  const [store] = useState(() => {
    const made = new SeatStore(seats, 0, 0);
    made.choose((wish.seats ?? "").split(","));
    return made;
  });
  const { chosen, lost } = useSyncExternalStore(store.watch, store.seen);
  const [note, setNote] = useState("");
  useEffect(() => {
    store.apply(newsOf(seats));
  }, [store, seats]);
  const toggle = useCallback(
    (label: string) => {
      const isFull = !store.isChosen(label) && store.seen().chosen.length >= SEATS_MOST;
      setNote(isFull ? t("seats.most", { n: SEATS_MOST }) : "");
      if (!isFull) store.toggle(label);
    },
    [store, t],
  );
  const go = (labels: string | undefined) =>
    void navigate({ to: "/series", search: { ...wish, seats: labels }, resetScroll: false });

  if (wish.seats !== undefined) {
    return (
      <Paying
        {...series}
        seats={wish.seats.split(",")}
        back={() => {
          again();
          go(undefined);
        }}
      />
    );
  }
  const prices = new Map(seats.map((one) => [one.label, one.price]));
  const total = sum(chosen.flatMap((label) => prices.get(label) ?? []));
  return (
    <>
      <p>{t("series.seatsText", { n: series.shows.length })}</p>
      <SeatMap grid={grid} store={store} toggle={toggle} />
      <Legend />
      <SeatList grid={grid} store={store} toggle={toggle} />
      <div className="tray">
        <div className="tray-notes" role="alert">
          {lost.length > 0 && (
            <p className="warning">{t("seats.lost", { seats: lost.join(", ") })}</p>
          )}
          {note && <p className="warning">{note}</p>}
        </div>
        <p className="tray-text">
          {chosen.length === 0 ? (
            t("seats.choose")
          ) : (
            <>
              {many("seats.chosen", chosen.length)}: {chosen.join(", ")}{" "}
              <strong>{total && money(total, language)}</strong>
              {chosen.length > 1 && areApart(grid, chosen) && <small> {t("seats.apart")}</small>}
            </>
          )}
        </p>
        <button
          type="button"
          className="button"
          disabled={chosen.length === 0}
          onClick={() => go([...chosen].sort().join(","))}
        >
          {t("seats.continue")}
        </button>
      </div>
    </>
  );
}
