/** Who is signed in. Tokens are in memory alone; the refresh token is in a cookie no script reads. */
import { useSyncExternalStore } from "react";
import type { components } from "./schema";

export type User = components["schemas"]["User"];

export type Session =
  | { kind: "unknown" }
  | { kind: "nobody" }
  | { kind: "guest"; token: string }
  | { kind: "user"; token: string; user: User };

/** Whose cookie may be there, so that visitors without one ask for nothing in vain. */
const HINT = "cinema.signed-in";
/** The tickets that `bookings/kept.ts` keeps for that account. */
export const KEPT_TICKETS = "cinema.tickets";

/** The account that has signed in here last and not signed out, as far as is known without the server. */
export function hintedUser(): string | null {
  return localStorage.getItem(HINT);
}

let session: Session = { kind: "unknown" };
let refreshing: Promise<boolean> | null = null;
const listeners = new Set<() => void>();

export function currentSession(): Session {
  return session;
}

export function tokenOf(one: Session): string | null {
  return one.kind === "user" || one.kind === "guest" ? one.token : null;
}

export function setSession(next: Session): void {
  session = next;
  const hinted = hintedUser();
  if (next.kind === "user") localStorage.setItem(HINT, next.user.id);
  else if (next.kind === "nobody") localStorage.removeItem(HINT);
  // What is kept is of one account, and ends with it.
  if (hinted !== null && hinted !== hintedUser()) indexedDB.deleteDatabase(KEPT_TICKETS);
  for (const listener of listeners) listener();
}

export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => session,
  );
}

const HANDED_OVER = "cinema.handed-over";

/**
 * Load an address anew without forgetting the guest. The token goes behind `#`, which no server sees,
 * with a number that only this window knows: a link from elsewhere makes nobody a guest of its maker.
 */
export function loadAnew(href: string): void {
  let behind = "";
  if (session.kind === "guest") {
    const number = crypto.getRandomValues(new Uint32Array(4)).join("-");
    sessionStorage.setItem(HANDED_OVER, number);
    behind = `#guest=${number}.${session.token}`;
  }
  // The router may be at this address already: then going there would load nothing. It listens to
  // its own replaceState, and is not to follow this change.
  History.prototype.replaceState.call(history, history.state, "", href + behind);
  location.reload();
}

/** The other end of `loadAnew`, before the router reads the address. */
export function receiveGuest(): void {
  const number = sessionStorage.getItem(HANDED_OVER);
  sessionStorage.removeItem(HANDED_OVER);
  if (!location.hash.startsWith("#guest=")) return;
  const given = location.hash.slice("#guest=".length);
  history.replaceState(history.state, "", location.pathname + location.search);
  if (number !== null && given.startsWith(`${number}.`))
    setSession({ kind: "guest", token: given.slice(number.length + 1) });
}

/** Find out who it is, once, before the first request with a token. */
export async function ready(): Promise<void> {
  if (session.kind !== "unknown") return;
  if (hintedUser() === null) setSession({ kind: "nobody" });
  else await refresh();
}

/** A new access token for the cookie; one at a time over all tabs, since each cookie is good once. */
export function refresh(): Promise<boolean> {
  refreshing ??= exclusively(askForToken).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function exclusively(work: () => Promise<boolean>): Promise<boolean> {
  return navigator.locks ? await navigator.locks.request("cinema.refresh", work) : work();
}

async function askForToken(): Promise<boolean> {
  let reply: Response;
  try {
    reply = await fetch("/api/v1/auth/refresh", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Requested-With": "cinema" },
      body: "{}",
    });
  } catch {
    return false;
  }
  if (reply.ok) {
    const { data } = await reply.json();
    setSession({ kind: "user", token: data.access_token, user: data.user });
    return true;
  }
  if (reply.status === 401 || reply.status === 403) setSession({ kind: "nobody" });
  return false;
}
