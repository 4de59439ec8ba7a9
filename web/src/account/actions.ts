/** Becoming and ceasing to be somebody; seats that a guest holds move to the account. */
import { api, ask, newKey, type Schemas } from "../api/client";
import { currentSession, setSession } from "../api/session";
import { keep, keptHold } from "../seats/kept";

export interface SignIn {
  email: string;
  password: string;
  code?: string;
}

export async function signIn(body: SignIn): Promise<void> {
  await becomeUser(() => ask(api.POST("/api/v1/auth/login", { body })));
}

export async function signUp(body: Schemas["RegisterInput"]): Promise<void> {
  const params = { header: { "Idempotency-Key": newKey() } };
  await becomeUser(() => ask(api.POST("/api/v1/auth/register", { params, body })));
}

export async function acceptInvitation(body: Schemas["AcceptInput"]): Promise<void> {
  await becomeUser(() => ask(api.POST("/api/v1/auth/accept-invitation", { body })));
}

export async function signOut(): Promise<void> {
  const headers = { "X-Requested-With": "cinema" };
  try {
    if (currentSession().kind === "user") await ask(api.POST("/api/v1/auth/logout", { headers }));
  } finally {
    keep(null);
    setSession({ kind: "nobody" });
  }
}

async function becomeUser(authenticate: () => Promise<Schemas["Authenticated"]>): Promise<void> {
  const before = currentSession();
  const { access_token, user } = await authenticate();
  setSession({ kind: "user", token: access_token, user });
  if (before.kind === "guest" && keptHold() !== null) await takeOver(before.token);
}

/** An account with a confirmed address claims the guest; any other holds the same seats anew. */
async function takeOver(guestToken: string): Promise<void> {
  try {
    await ask(api.POST("/api/v1/auth/guest/claim", { body: { guest_token: guestToken } }));
    return;
  } catch {
    const kept = keptHold();
    if (kept === null) return;
    await holdAnew(kept.showtimeId, kept.holdId, guestToken);
  }
}

async function holdAnew(showtimeId: string, holdId: string, guestToken: string): Promise<void> {
  keep(null);
  const address = `/api/v1/showtimes/${showtimeId}/holds/${holdId}`;
  const headers = { Authorization: `Bearer ${guestToken}` };
  const released = await fetch(address, { method: "DELETE", headers });
  if (!released.ok) return;
  const { data } = (await released.json()) as { data: Schemas["Hold"] };
  const params = { path: { showtime_id: showtimeId }, header: { "Idempotency-Key": newKey() } };
  const body = { seats: data.seats.map((seat) => seat.label) };
  const hold = await ask(api.POST("/api/v1/showtimes/{showtime_id}/holds", { params, body }));
  keep({ showtimeId, holdId: hold.hold_id });
}
