/** The waiting room, on the way back from its page: the place is in the address, and is used once. */
export interface QueuePlace {
  token: string;
  secret: string;
}

/** The place that the page of the waiting room has put behind `#`; null without one. */
export function placeIn(hash: string): QueuePlace | null {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const token = given.get("place");
  return token ? { token, secret: given.get("secret") ?? "" } : null;
}

/** Where whoever needs a place gets one. */
export function queueAddress(showtimeId: string): string {
  return `/queue.html?showtime=${encodeURIComponent(showtimeId)}`;
}
