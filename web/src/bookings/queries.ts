import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas, whole } from "../api/client";

export type Booking = Schemas["Booking"];
export type When = "upcoming" | "past";

export function bookingQuery(id: string) {
  return queryOptions({
    queryKey: ["booking", id],
    queryFn: () =>
      ask(api.GET("/api/v1/bookings/{booking_id}", { params: { path: { booking_id: id } } })),
    staleTime: 10_000,
  });
}

export function bookingsQuery(when: When) {
  return infiniteQueryOptions({
    queryKey: ["bookings", when],
    queryFn: ({ pageParam }) => {
      const query = { when, limit: 20, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/bookings", { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
  });
}
