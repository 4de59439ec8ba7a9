/** The wait list of a showtime: join it, see the place, collect what is offered. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import { useSession } from "../api/session";
import { money } from "../format";
import { type Key, useWords } from "../i18n";
import { Refusal } from "../ui/form";
import { becomeSomebody, giveBack } from "./holds";
import { keep } from "./kept";

type Entry = Schemas["WaitlistEntry"];

const ASK_AGAIN_MS = 5000;
const QUANTITY_MOST = 10;

interface WaitingProps {
  showtimeId: string;
  /** Whether there are not seats enough to choose from. */
  isWanted: boolean;
}

/** Nothing, as long as there are seats and whoever looks does not wait already. */
export function Waiting({ showtimeId, isWanted }: WaitingProps) {
  const { t } = useWords();
  const session = useSession();
  const entry = useQuery({
    queryKey: ["waitlist", showtimeId],
    queryFn: async (): Promise<Entry | null> => {
      const params = { path: { showtime_id: showtimeId } };
      try {
        return await ask(api.GET("/api/v1/showtimes/{showtime_id}/waitlist", { params }));
      } catch (error) {
        if (error instanceof ApiError && [403, 404].includes(error.status)) return null;
        throw error;
      }
    },
    enabled: session.kind === "user" || session.kind === "guest",
    refetchInterval: ({ state }) => (state.data?.status === "waiting" ? ASK_AGAIN_MS : false),
  });
  const own = entry.data?.status === "left" ? null : entry.data;
  if (!own && !isWanted) return null;
  return (
    <section className="panel waiting" aria-labelledby="waiting">
      <h2 id="waiting">{t(own ? "wait.title" : "wait.soldOut")}</h2>
      {own ? <Place entry={own} /> : <Join showtimeId={showtimeId} />}
    </section>
  );
}

const REFUSED: Partial<Record<string, Key>> = {
  SEATS_AVAILABLE: "wait.available",
  WAITLIST_CLOSED: "wait.closed",
  WAITLIST_FULL: "wait.full",
  NOT_ENOUGH_SEATS: "wait.never",
  SALES_CLOSED: "seats.closed",
  SALES_PAUSED: "seats.paused",
};

function Join({ showtimeId }: { showtimeId: string }) {
  const { t } = useWords();
  const session = useSession();
  const queries = useQueryClient();
  const [key, setKey] = useState(newKey);
  const joined = useMutation({
    ...REPEATED,
    mutationFn: async (body: Schemas["WaitlistInput"]) => {
      await becomeSomebody();
      const params = { path: { showtime_id: showtimeId }, header: { "Idempotency-Key": key } };
      return ask(api.POST("/api/v1/showtimes/{showtime_id}/waitlist", { params, body }));
    },
    onSuccess: (entry) => queries.setQueryData(["waitlist", showtimeId], entry),
    // Another wish is another request.
    onSettled: () => setKey(newKey()),
  });
  const known = joined.error instanceof ApiError ? REFUSED[joined.error.code] : undefined;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const fields = new FormData(event.currentTarget);
        joined.mutate({
          quantity: Number(fields.get("quantity")),
          accessible: fields.has("accessible"),
          together: fields.has("together"),
        });
      }}
    >
      <p>{t(session.kind === "user" ? "wait.text" : "wait.textGuest")}</p>
      <div className="wishes">
        <label>
          {t("seats.howMany")}{" "}
          <select name="quantity" defaultValue="2">
            {Array.from({ length: QUANTITY_MOST }, (_, n) => n + 1).map((n) => (
              <option key={n}>{n}</option>
            ))}
          </select>
        </label>
        <label>
          <input type="checkbox" name="together" defaultChecked /> {t("wait.together")}
        </label>
        <label>
          <input type="checkbox" name="accessible" /> {t("wait.accessible")}
        </label>
      </div>
      {known ? (
        <p className="warning" role="alert">
          {t(known)}
        </p>
      ) : (
        <Refusal error={joined.error} />
      )}
      <div className="actions">
        <button type="submit" className="button" disabled={joined.isPending}>
          {t("wait.join")}
        </button>
        {session.kind !== "user" && (
          <Link
            to="/sign-in"
            search={{ next: `/showtimes/${showtimeId}` }}
            className="button quiet"
          >
            {t("app.signIn")}
          </Link>
        )}
      </div>
    </form>
  );
}

function Place({ entry }: { entry: Entry }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { showtime_id: showtimeId, offer } = entry;
  const [key] = useState(newKey);
  const left = useMutation({
    ...REPEATED,
    mutationFn: async () => {
      // What is offered is a hold, and ends as any hold does.
      if (offer) return giveBack(offer);
      const params = { path: { showtime_id: showtimeId }, header: { "Idempotency-Key": key } };
      await ask(api.DELETE("/api/v1/showtimes/{showtime_id}/waitlist", { params }));
    },
    onSuccess: () => queries.setQueryData(["waitlist", showtimeId], null),
  });
  const collect = () => {
    if (!offer) return;
    keep({ showtimeId, holdId: offer.hold_id });
    void navigate({ to: "/showtimes/$showtimeId/checkout", params: { showtimeId } });
  };
  return (
    <>
      <p role="status">
        {offer
          ? t("wait.offered", {
              seats: offer.seats.map((seat) => seat.label).join(", "),
              amount: money(offer.total, language),
            })
          : t("wait.place", { n: entry.position ?? "…", quantity: entry.quantity })}
      </p>
      <Refusal error={left.error} />
      <div className="actions">
        {offer && (
          <button type="button" className="button" onClick={collect}>
            {t("wait.collect")}
          </button>
        )}
        <button
          type="button"
          className="button quiet"
          disabled={left.isPending}
          onClick={() => left.mutate()}
        >
          {t(offer ? "wait.decline" : "wait.leave")}
        </button>
      </div>
    </>
  );
}
