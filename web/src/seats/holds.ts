/** Holds of this tab: made, extended, given back. */
import { queryOptions } from "@tanstack/react-query";
import { api, ask, newKey, type Schemas } from "../api/client";
import { currentSession, ready, setSession } from "../api/session";
import { keep, keptAt } from "./kept";
import type { QueuePlace } from "./queue";

export type Hold = Schemas["Hold"];

export function holdQuery(showtimeId: string, holdId: string) {
  const path = { showtime_id: showtimeId, hold_id: holdId };
  return queryOptions({
    queryKey: ["hold", showtimeId, holdId],
    queryFn: () =>
      ask(api.GET("/api/v1/showtimes/{showtime_id}/holds/{hold_id}", { params: { path } })),
    staleTime: 0,
  });
}

/** Whoever has not signed in holds seats as a guest, and says who it is when paying. */
export async function becomeSomebody(): Promise<void> {
  await ready();
  if (currentSession().kind !== "nobody") return;
  const { access_token } = await ask(api.POST("/api/v1/auth/guest"));
  setSession({ kind: "guest", token: access_token });
}

/** Use a place of the waiting room. It must be done soon, not only when seats are chosen. Throws `ApiError`. */
export async function enter(showtimeId: string, place: QueuePlace): Promise<void> {
  await becomeSomebody();
  const body = place.secret
    ? { token: place.token, device_secret: place.secret }
    : { token: place.token };
  const params = { path: { showtime_id: showtimeId } };
  await ask(api.POST("/api/v1/showtimes/{showtime_id}/queue/entry", { params, body }));
}

export type Wish = { key: string; presale_code?: string } & (
  | { seats: string[] }
  | { best_available: Schemas["BestAvailable"] }
);

export async function placeHold(showtimeId: string, { key, ...body }: Wish): Promise<Hold> {
  await becomeSomebody();
  const params = { path: { showtime_id: showtimeId }, header: { "Idempotency-Key": key } };
  const hold = await ask(api.POST("/api/v1/showtimes/{showtime_id}/holds", { params, body }));
  keep({ showtimeId, holdId: hold.hold_id });
  return hold;
}

export async function extendHold({ showtime_id, hold_id }: Hold): Promise<Hold> {
  const params = { path: { showtime_id, hold_id }, header: { "Idempotency-Key": newKey() } };
  return ask(
    api.PATCH("/api/v1/showtimes/{showtime_id}/holds/{hold_id}", {
      params,
      body: { extend: true },
    }),
  );
}

export async function giveBack({ showtime_id, hold_id }: Hold): Promise<void> {
  const params = { path: { showtime_id, hold_id }, header: { "Idempotency-Key": newKey() } };
  await ask(api.DELETE("/api/v1/showtimes/{showtime_id}/holds/{hold_id}", { params }));
  if (keptAt(showtime_id) === hold_id) keep(null);
}
