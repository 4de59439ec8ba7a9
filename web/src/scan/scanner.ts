/** One scan after the other: asked of the server, or decided by the list while it does not answer. */
import { useCallback, useEffect, useRef, useState } from "react";
import { ApiError, api, ask, newKey, type Schemas, serverNow } from "../api/client";
import { addScan, dropScans, keepList, keptList, type Waiting, waitingScans } from "./queue";
import { byList, claimIn, isSigned, type ScanList } from "./token";

export type Verdict =
  | { kind: "in"; seats: string[]; checks: string[]; refused: string[] }
  | { kind: "offline"; seats: string[]; checks: string[] }
  | { kind: "refused"; code: string; since?: string };

export interface Conflicts {
  conflicts: Schemas["ScanConflict"][];
  refused: { code: string; seats: string[] }[];
}

/** A person at the door waits no longer for a verdict. */
const ANSWER_WITHIN_MS = 800;
const UPLOAD_EVERY_MS = 3000;
const UPLOAD_MOST = 500;
const LIST_EVERY_MS = 30_000;
/** Pictures without the code, after which it is shown anew. */
const MISSES_MOST = 3;

export interface Scanner {
  verdict: Verdict | null;
  /** Counts verdicts: two equal ones are told twice. */
  count: number;
  isOffline: boolean;
  hasList: boolean;
  waiting: Waiting[];
  told: Conflicts;
  /** A code that was entered. */
  scan: (text: string) => void;
  /** A code in the picture, or none; one that stays there is scanned once. */
  see: (text: string | null) => void;
}

export function useScanner(showtimeId: string): Scanner {
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const [count, setCount] = useState(0);
  const [isOffline, setOffline] = useState(false);
  const [hasList, setHasList] = useState(false);
  const [waiting, setWaiting] = useState<Waiting[]>([]);
  const [told, setTold] = useState<Conflicts>({ conflicts: [], refused: [] });
  const list = useRef<ScanList | null>(null);
  const seen = useRef({ text: "", misses: 0 });
  const isBusy = useRef(false);
  const isUploading = useRef(false);

  useEffect(() => {
    void waitingScans().then(setWaiting);
  }, []);

  useEffect(() => {
    list.current = null;
    setHasList(false);
    if (showtimeId === "") return;
    let isOver = false;
    const know = (known: ScanList) => {
      if (isOver) return;
      list.current = known;
      setHasList(true);
    };
    const load = async () => {
      const params = { path: { showtime_id: showtimeId } };
      try {
        const { list: fresh } = await ask(
          api.GET("/api/v1/showtimes/{showtime_id}/scan-list", { params }),
        );
        // Kept first: what is said to be ready is so after a start without a connection too.
        await keepList(fresh).catch(() => undefined);
        know(fresh);
      } catch {
        const kept = await keptList(showtimeId);
        if (kept && list.current === null) know(kept);
      }
    };
    void load();
    const timer = setInterval(load, LIST_EVERY_MS);
    return () => {
      isOver = true;
      clearInterval(timer);
    };
  }, [showtimeId]);

  const upload = useCallback(async () => {
    if (isUploading.current) return;
    isUploading.current = true;
    try {
      const batch = (await waitingScans()).slice(0, UPLOAD_MOST);
      if (batch.length === 0) return;
      const scans = batch.map(({ token, at, nonce, direction }) => ({
        token,
        at,
        nonce,
        direction,
      }));
      const body = { scans, sent_at: new Date(serverNow()).toISOString() };
      const answer = await ask(api.POST("/api/v1/tickets/scans", { body }));
      await dropScans(batch.map((one) => one.nonce));
      setWaiting(await waitingScans());
      setOffline(false);
      const seatsOf = new Map(batch.map((one) => [one.nonce, one.seats]));
      const refused = answer.scans.flatMap(({ outcome, code, nonce }) =>
        outcome === "refused" ? [{ code: code ?? "", seats: seatsOf.get(nonce) ?? [] }] : [],
      );
      setTold((before) => ({
        conflicts: [...before.conflicts, ...answer.conflicts],
        refused: [...before.refused, ...refused],
      }));
    } catch {
      // They wait for the next time.
    } finally {
      isUploading.current = false;
    }
  }, []);

  useEffect(() => {
    if (waiting.length === 0) return;
    const timer = setInterval(upload, UPLOAD_EVERY_MS);
    window.addEventListener("online", upload);
    return () => {
      clearInterval(timer);
      window.removeEventListener("online", upload);
    };
  }, [waiting.length, upload]);

  const decide = useCallback(
    async (token: string): Promise<Verdict> => {
      const nonce = newKey();
      const at = new Date(serverNow()).toISOString();
      const body = { token, nonce, ...(showtimeId === "" ? {} : { showtime_id: showtimeId }) };
      try {
        const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
        const found = await ask(api.POST("/api/v1/tickets/scan", { body, signal }));
        setOffline(false);
        const refused = found.refused?.map((one) => one.seat) ?? [];
        const seats = found.tickets
          .map((one) => one.seat)
          .filter((seat) => !refused.includes(seat));
        return { kind: "in", seats, checks: found.checks, refused };
      } catch (error) {
        const isAnswer = error instanceof ApiError && error.status > 0 && error.status < 500;
        if (isAnswer && error.status !== 401) {
          setOffline(false);
          const since = error.details.used_at ?? error.details.since;
          return {
            kind: "refused",
            code: error.code,
            ...(typeof since === "string" ? { since } : {}),
          };
        }
      }
      setOffline(true);
      const claim = claimIn(token);
      if (claim === null) return { kind: "refused", code: "TICKET_FORGED" };
      if (list.current === null) return { kind: "refused", code: "NO_LIST" };
      if (!(await isSigned(claim, list.current))) return { kind: "refused", code: "TICKET_FORGED" };
      const inside = new Set((await waitingScans()).flatMap((one) => one.ticketIds));
      const offline = byList(claim, list.current, inside);
      if (!offline.lets) return { kind: "refused", code: offline.code };
      const { seats, ticketIds, checks } = offline;
      // The nonce of the request whose answer was lost: it may have let in already.
      await addScan({ token, at, nonce, direction: "entry", seats, ticketIds });
      setWaiting(await waitingScans());
      return { kind: "offline", seats, checks };
    },
    [showtimeId],
  );

  const scan = useCallback(
    (text: string) => {
      const token = text.trim();
      if (token === "" || isBusy.current) return;
      isBusy.current = true;
      void decide(token.slice(0, 256))
        .catch((): Verdict => ({ kind: "refused", code: "INTERNAL" }))
        .then((next) => {
          isBusy.current = false;
          setVerdict(next);
          setCount((before) => before + 1);
        });
    },
    [decide],
  );

  const see = useCallback(
    (text: string | null) => {
      if (text === null) {
        seen.current.misses += 1;
        if (seen.current.misses >= MISSES_MOST) seen.current.text = "";
        return;
      }
      seen.current.misses = 0;
      if (text === seen.current.text || isBusy.current) return;
      seen.current.text = text;
      scan(text);
    },
    [scan],
  );

  return { verdict, count, isOffline, hasList, waiting, told, scan, see };
}
