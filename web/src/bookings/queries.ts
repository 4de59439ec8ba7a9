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

/** The QR code that lets in all of a booking, as the address of a picture; null if it has no ticket. */
export function codeQuery(bookingId: string) {
  return queryOptions({
    queryKey: ["code", bookingId],
    queryFn: async () => {
      const query = { booking_id: bookingId, limit: 1 };
      const [ticket] = await ask(api.GET("/api/v1/tickets", { params: { query } }));
      if (ticket === undefined) return null;
      const params = { path: { ticket_id: ticket.id }, query: { of: "group" as const } };
      const picture: unknown = await whole(
        api.GET("/api/v1/tickets/{ticket_id}/qr.svg", { params, parseAs: "text" }),
      );
      return `data:image/svg+xml,${encodeURIComponent(String(picture))}`;
    },
    staleTime: 60_000,
  });
}
