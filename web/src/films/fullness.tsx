/** What is sold out, or nearly: asked for beside the lists, which say nothing of it and so stay cached. */
import { useQuery } from "@tanstack/react-query";
import { api, ask, type Schemas } from "../api/client";
import { useWords } from "../i18n";
import type { FilmFilters } from "../ui/queries";

type Level = Schemas["ShowtimeAvailability"]["level"];

const AGAIN_MS = 15_000;
const IDS_MOST = 100;
const ASKED = {
  staleTime: AGAIN_MS,
  refetchInterval: AGAIN_MS,
  placeholderData: <T,>(before: T) => before,
};

/** The levels of showtimes, as far as they are known yet. */
export function useFullness(showtimeIds: string[]): Map<string, Level> {
  const ids = showtimeIds.slice(0, IDS_MOST).join();
  const { data = [] } = useQuery({
    ...ASKED,
    queryKey: ["fullness", ids],
    queryFn: () => ask(api.GET("/api/v1/showtimes/availability", { params: { query: { ids } } })),
    enabled: ids !== "",
  });
  return new Map(data.map((one) => [one.showtime_id, one.level]));
}

/** The levels of films: of their best showtime on that day and in that cinema. */
export function useFilmFullness(
  filmIds: string[],
  { date, cinema }: FilmFilters,
): Map<string, Level> {
  const ids = filmIds.slice(0, IDS_MOST).join();
  const { data = [] } = useQuery({
    ...ASKED,
    queryKey: ["fullness", ids, date ?? "", cinema ?? ""],
    queryFn: () => {
      const query = { ids, date, cinema_id: cinema };
      return ask(api.GET("/api/v1/movies/availability", { params: { query } }));
    },
    enabled: ids !== "",
  });
  return new Map(data.map((one) => [one.movie_id, one.level]));
}

export function Fullness({ level }: { level: Level | undefined }) {
  const { t } = useWords();
  if (level === undefined || level === "available") return null;
  return <span className={`fullness ${level}`}>{t(`fullness.${level}`)}</span>;
}
