/** Tickets that somebody has looked at, kept in this browser for as long as that account is signed in. */
import { serverNow } from "../api/client";
import { hintedUser, KEPT_TICKETS } from "../api/session";
import type { Cinema, Movie, Showtime } from "../ui/queries";
import type { Booking } from "./queries";

export interface KeptTicket {
  id: string;
  userId: string;
  booking: Booking;
  showtime: Showtime;
  film: Movie;
  cinema: Cinema;
  /** The QR code, as the address of a picture. */
  picture: string;
}

const TICKETS = "tickets";
const AFTERWARDS_MS = 86_400_000;

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within<T>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const request = indexedDB.open(KEPT_TICKETS, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(TICKETS, { keyPath: "id" });
  const database = await done(request);
  try {
    return await done(work(database.transaction(TICKETS, mode).objectStore(TICKETS)));
  } finally {
    database.close();
  }
}

export function isOver({ showtime }: KeptTicket, now: number): boolean {
  return Date.parse(showtime.ends_at) + AFTERWARDS_MS < now;
}

/** Keeps a ticket, and the page to show it on. A browser that cannot goes on without. */
export async function keepTicket(ticket: KeptTicket): Promise<void> {
  if (hintedUser() !== ticket.userId || isOver(ticket, serverNow())) return;
  // Without a connection there is no poster either.
  const film = { ...ticket.film, poster_url: null };
  await within("readwrite", (store) => store.put({ ...ticket, film }));
  // Whoever signed out meanwhile wants nothing left here.
  if (hintedUser() !== ticket.userId) await dropTicket(ticket.id);
  if (!import.meta.env.PROD || navigator.serviceWorker === undefined) return;
  await navigator.serviceWorker.register("/tickets.js", { scope: "/bookings" });
}

export async function dropTicket(id: string): Promise<void> {
  await within("readwrite", (store) => store.delete(id));
}

/** Those of whoever is signed in here, the next first; what is over is dropped. */
export async function keptTickets(): Promise<KeptTicket[]> {
  const user = hintedUser();
  if (user === null) return [];
  const all: KeptTicket[] = await within("readonly", (store) => store.getAll());
  const now = serverNow();
  for (const one of all) if (isOver(one, now)) await dropTicket(one.id);
  return all
    .filter((one) => one.userId === user && !isOver(one, now))
    .sort((one, other) => one.showtime.starts_at.localeCompare(other.showtime.starts_at));
}
