/** Tells the server what visitors do with films: for the funnel, and for what is recommended. */
import { useEffect, useRef } from "react";
import { currentSession, ready, tokenOf } from "../api/session";
import { EventQueue, type PageEvent } from "./queue";

const queue = new EventQueue((events) => {
  send(events).catch(() => undefined);
});

// A page that is closed takes its requests with it, unless they are kept alive; those of the client
// are read as they are sent, and cannot be. A token that has run out is not worth asking again.
async function send(events: PageEvent[]): Promise<void> {
  await ready();
  const token = tokenOf(currentSession());
  await fetch("/api/v1/events", {
    method: "POST",
    keepalive: true,
    headers: {
      "Content-Type": "application/json",
      ...(token !== null && { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ events }),
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") queue.flush();
});

export function note(event: PageEvent): void {
  queue.note(event);
}

/** A page of a showtime was opened. */
export function useVisit(
  kind: "seat_map" | "checkout_start",
  showtime: { id: string; movie_id: string } | undefined,
): void {
  const told = useRef<string>(undefined);
  const { id, movie_id } = showtime ?? {};
  useEffect(() => {
    if (id === undefined || movie_id === undefined || told.current === id) return;
    told.current = id;
    note({ kind, movie_id, showtime_id: id });
  }, [kind, id, movie_id]);
}

const SEEN_SHARE = 0.5;

/** For the place of a film: it is seen once half of it is on the screen. */
export function useSeen(movie_id: string, exposure_id: string | null) {
  const place = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (exposure_id === null || place.current === null) return;
    const watching = new IntersectionObserver(
      (entries) => {
        if (!entries.some((one) => one.isIntersecting)) return;
        note({ kind: "impression", movie_id, exposure_id });
        watching.disconnect();
      },
      { threshold: SEEN_SHARE },
    );
    watching.observe(place.current);
    return () => watching.disconnect();
  }, [movie_id, exposure_id]);
  return place;
}
