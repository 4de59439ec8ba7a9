/** What a cinema shows around now, also over midnight. */
import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas, serverNow } from "../api/client";
import { dayIn } from "../format";
import type { Cinema } from "../ui/queries";

export type Show = Schemas["ScheduledShow"];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const BEFORE_MS = 5 * HOUR_MS;
const AFTER_MS = 18 * HOUR_MS;

export function showsQuery(cinema: Cinema | undefined) {
  return queryOptions({
    queryKey: ["shows", cinema?.id],
    queryFn: async (): Promise<Show[]> => {
      if (cinema === undefined) return [];
      const now = serverNow();
      const days = [now - DAY_MS, now, now + DAY_MS].map((at) => dayIn(cinema.time_zone, at));
      const schedules = await Promise.all(
        days.map((date) => {
          const params = { path: { cinema_id: cinema.id }, query: { date } };
          return ask(api.GET("/api/v1/schedule/cinema/{cinema_id}", { params }));
        }),
      );
      return schedules
        .flatMap((one) => one.showtimes)
        .filter(({ starts_at, ends_at }) => {
          const isOver = Date.parse(ends_at) < now - BEFORE_MS;
          return !isOver && Date.parse(starts_at) < now + AFTER_MS;
        });
    },
    staleTime: 60_000,
  });
}
