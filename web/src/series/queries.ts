import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas, serverNow, whole } from "../api/client";
import type { Showtime } from "../ui/queries";

export type Series = Schemas["Series"];

const PAGES_MOST = 5;

/** What a cinema still shows. */
export function programmeQuery(cinemaId: string) {
  return queryOptions({
    queryKey: ["showtimes", "of cinema", cinemaId],
    queryFn: async () => {
      const found: Showtime[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < PAGES_MOST; page += 1) {
        const params = { query: { cinema_id: cinemaId, limit: 100, cursor } };
        const body = await whole(api.GET("/api/v1/showtimes", { params }));
        found.push(...body.data);
        cursor = body.meta.next_cursor ?? undefined;
        if (cursor === undefined) break;
      }
      const now = serverNow();
      return found.filter(
        ({ status, sales }) => status !== "cancelled" && Date.parse(sales.closes_at) > now,
      );
    },
    staleTime: 60_000,
  });
}

export function seriesQuery(id: string) {
  return queryOptions({
    queryKey: ["bookings", "series", id],
    queryFn: () =>
      ask(api.GET("/api/v1/series/{series_id}", { params: { path: { series_id: id } } })),
    staleTime: 10_000,
  });
}

export const allSeriesQuery = infiniteQueryOptions({
  queryKey: ["bookings", "all series"],
  queryFn: ({ pageParam }) => {
    const query = { limit: 20, cursor: pageParam ?? undefined };
    return whole(api.GET("/api/v1/series", { params: { query } }));
  },
  initialPageParam: null as string | null,
  getNextPageParam: (page) => page.meta.next_cursor ?? null,
});
