/** What several pages ask for. */
import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas, whole } from "../api/client";

export type Movie = Schemas["Movie"];
export type Cinema = Schemas["Cinema"];
export type Showtime = Schemas["Showtime"];

const A_WHILE_MS = 5 * 60_000;
const PAGES_MOST = 5;

export const siteQuery = queryOptions({
  queryKey: ["site"],
  queryFn: () => ask(api.GET("/api/v1/site")),
  staleTime: Number.POSITIVE_INFINITY,
});

export const cinemasQuery = queryOptions({
  queryKey: ["cinemas"],
  queryFn: () => ask(api.GET("/api/v1/cinemas", { params: { query: { limit: 100 } } })),
  staleTime: A_WHILE_MS,
});

export interface FilmFilters {
  q?: string;
  genre?: string;
  cinema?: string;
  date?: string;
}

export function filmsQuery({ q, genre, cinema, date }: FilmFilters) {
  return queryOptions({
    queryKey: ["films", q ?? "", genre ?? "", cinema ?? "", date ?? ""],
    queryFn: () => {
      const query = { q, genre, cinema_id: cinema, date, limit: 100 };
      return ask(api.GET("/api/v1/movies", { params: { query } }));
    },
    staleTime: 60_000,
    placeholderData: (before) => before,
  });
}

export function filmQuery(id: string) {
  return queryOptions({
    queryKey: ["film", id],
    queryFn: () =>
      ask(api.GET("/api/v1/movies/{movie_id}", { params: { path: { movie_id: id } } })),
    staleTime: A_WHILE_MS,
  });
}

export function showtimesQuery(filmId: string) {
  return queryOptions({
    queryKey: ["showtimes", filmId],
    queryFn: async () => {
      const found: Showtime[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < PAGES_MOST; page += 1) {
        const params = { path: { movie_id: filmId }, query: { limit: 100, cursor } };
        const body = await whole(api.GET("/api/v1/movies/{movie_id}/showtimes", { params }));
        found.push(...body.data);
        cursor = body.meta.next_cursor ?? undefined;
        if (cursor === undefined) break;
      }
      return found;
    },
    staleTime: 60_000,
  });
}

export function showtimeQuery(id: string) {
  return queryOptions({
    queryKey: ["showtime", id],
    queryFn: () =>
      ask(api.GET("/api/v1/showtimes/{showtime_id}", { params: { path: { showtime_id: id } } })),
    staleTime: A_WHILE_MS,
  });
}

export function ticketTypesQuery(cinemaId: string) {
  return queryOptions({
    queryKey: ["ticket-types", cinemaId],
    queryFn: () => {
      const params = { path: { cinema_id: cinemaId } };
      return ask(api.GET("/api/v1/cinemas/{cinema_id}/ticket-types", { params }));
    },
    staleTime: A_WHILE_MS,
  });
}

export const pointsQuery = queryOptions({
  queryKey: ["points"],
  queryFn: () => ask(api.GET("/api/v1/loyalty")),
  staleTime: 10_000,
});

export function screensQuery(cinemaId: string) {
  return queryOptions({
    queryKey: ["screens", cinemaId],
    queryFn: () => {
      const params = { path: { cinema_id: cinemaId } };
      return ask(api.GET("/api/v1/cinemas/{cinema_id}/screens", { params }));
    },
    staleTime: 0,
  });
}

export function screenQuery(id: string) {
  return queryOptions({
    queryKey: ["screen", id],
    queryFn: () =>
      ask(api.GET("/api/v1/screens/{screen_id}", { params: { path: { screen_id: id } } })),
    staleTime: 0,
  });
}

/** The seats of a screen as a version of its plan has them; that never changes. */
export function layoutQuery(screenId: string, version: number | undefined) {
  return queryOptions({
    queryKey: ["layout", screenId, version],
    queryFn: () => {
      const params = { path: { screen_id: screenId }, query: { version } };
      return ask(api.GET("/api/v1/screens/{screen_id}/layout", { params }));
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
}
