/** Calls of the API: types from its document, the token of the session, refusals as errors. */
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";
import { currentSession, ready, refresh, setSession, tokenOf } from "./session";

export type Schemas = components["schemas"];

/** A refusal of the server, or `OFFLINE` if there was no answer. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }

  /** Whether the same request may succeed in a moment, with the same key. */
  get isTransient(): boolean {
    return this.code === "OFFLINE" || this.status === 503 || this.status >= 502;
  }
}

let clockOffsetMs = 0;
const DATES_ROUND_MS = 2000;

/** The server's time, near enough for a countdown. */
export function serverNow(): number {
  return Date.now() + clockOffsetMs;
}

async function send(request: Request): Promise<Response> {
  await ready();
  const again = request.clone();
  const reply = await sendAs(request);
  if (reply.status !== 401 || currentSession().kind === "nobody") return reply;
  if (!(await isAboutToken(reply))) return reply;
  if (currentSession().kind === "guest") {
    setSession({ kind: "nobody" });
    return reply;
  }
  return (await refresh()) ? sendAs(again) : reply;
}

/** A wrong password is 401 too, and asked a second time it would count twice. */
async function isAboutToken(reply: Response): Promise<boolean> {
  const body = await reply
    .clone()
    .json()
    .catch(() => null);
  return body?.error?.code === "UNAUTHENTICATED";
}

async function sendAs(request: Request): Promise<Response> {
  const token = tokenOf(currentSession());
  if (token !== null) request.headers.set("Authorization", `Bearer ${token}`);
  const reply = await fetch(request);
  const date = Date.parse(reply.headers.get("Date") ?? "");
  const offset = date - Date.now();
  if (!Number.isNaN(date)) clockOffsetMs = Math.abs(offset) > DATES_ROUND_MS ? offset : 0;
  return reply;
}

export const api = createClient<paths>({ baseUrl: location.origin, fetch: send });

type Answer = { data?: unknown; error?: unknown; response: Response };
type Body<A extends Answer> = Exclude<A["data"], undefined>;

/** The whole body of a success. Throws `ApiError`. */
export async function whole<A extends Answer>(call: Promise<A>): Promise<Body<A>> {
  let answer: A;
  try {
    answer = await call;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("OFFLINE", "There was no answer.", 0);
  }
  if (answer.data !== undefined) return answer.data as Body<A>;
  const told = (answer.error as Schemas["Error"] | undefined)?.error as
    | { code: string; message: string; details?: Record<string, unknown> }
    | undefined;
  const { status } = answer.response;
  throw new ApiError(told?.code ?? "INTERNAL", told?.message ?? "", status, told?.details);
}

/** What is in the envelope of a success. Throws `ApiError`. */
export async function ask<T>(
  call: Promise<{ data?: { data: T }; error?: unknown; response: Response }>,
): Promise<T> {
  return (await whole(call)).data;
}

/** A key that makes a request safe to repeat; works on pages without https too. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

/** For mutations with a key: again after a lost answer, with growing pauses. */
export const REPEATED = {
  retry: (failures: number, error: Error) =>
    failures < 6 && error instanceof ApiError && error.isTransient,
  retryDelay: (failures: number) => Math.min(300 * 2 ** failures, 4000),
};
