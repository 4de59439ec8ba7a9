/** Feeds a store from the watch socket, and connects again after each loss. */
import type { Frame, SeatStore } from "./store";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;

export function watchSeats(store: SeatStore, showtimeId: string): () => void {
  let socket: WebSocket | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let ended = false;

  function connect(): void {
    const url = new URL(`/api/v1/showtimes/${showtimeId}/watch`, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const since = store.since();
    if (since !== null) url.searchParams.set("since", since);
    const mine = new WebSocket(url);
    socket = mine;
    mine.onopen = () => {
      failures = 0;
      store.setLine("live");
    };
    mine.onmessage = ({ data }) => {
      if (!store.apply(JSON.parse(data) as Frame)) mine.send(JSON.stringify({ type: "sync" }));
    };
    mine.onclose = () => {
      if (ended) return;
      store.setLine("lost");
      // Not all at once after a restart of the server.
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS);
      failures += 1;
      timer = setTimeout(connect, pause * (0.5 + Math.random() / 2));
    };
  }

  function connectNow(): void {
    if (socket?.readyState !== WebSocket.CLOSED) return;
    clearTimeout(timer);
    connect();
  }

  connect();
  window.addEventListener("online", connectNow);
  return () => {
    ended = true;
    window.removeEventListener("online", connectNow);
    clearTimeout(timer);
    socket?.close();
  };
}
