/** The door: codes by camera, by a reader that types, or by hand; each gets a verdict at once. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { clock, moment } from "../format";
import { type Key, useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { useWorkplace, WorkplaceField } from "../staff/place";
import { showsQuery } from "../staff/shows";
import { useTitle } from "../ui/state";
import { keepPage, useKeptDoor } from "./away";
import { type Scanner, useScanner, type Verdict } from "./scanner";
import { soundOf, wakeSound } from "./sound";
import type { ScanList } from "./token";

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function ScanPage() {
  const { t } = useWords();
  const kept = useKeptDoor();
  useTitle(t("scan.title"));
  useEffect(keepPage, []);
  const isAway = kept !== null && kept.length > 0;
  return (
    <StaffOnly evenUnknown={isAway}>
      <Door kept={isAway ? kept : null} />
    </StaffOnly>
  );
}

function Door({ kept }: { kept: ScanList[] | null }) {
  const { t, language } = useWords();
  const place = useWorkplace();
  const { cinema } = place;
  const [showtimeId, setShowtimeId] = useState("");
  const shows = useQuery({ ...showsQuery(cinema), enabled: cinema !== undefined });
  const scanner = useScanner(showtimeId);
  return (
    <>
      <header className="page-head">
        <h1>{t("scan.title")}</h1>
      </header>
      <div className="door">
        <section className="door-side" aria-label={t("scan.what")}>
          {cinema && (
            <WorkplaceField
              {...place}
              choose={(id) => {
                setShowtimeId("");
                place.choose(id);
              }}
            />
          )}
          <label className="field">
            <span>{t("scan.showtime")}</span>
            <select value={showtimeId} onChange={(event) => setShowtimeId(event.target.value)}>
              <option value="">{t("scan.all")}</option>
              {kept?.map((one) => (
                <option key={one.showtime_id} value={one.showtime_id}>
                  {clock(ZONE, one.starts_at, language)} {one.film}
                </option>
              ))}
              {shows.data?.map((one) => (
                <option key={one.id} value={one.id}>
                  {clock(cinema?.time_zone ?? "UTC", one.starts_at, language)} {one.movie_title},{" "}
                  {one.screen_name}
                </option>
              ))}
            </select>
          </label>
          <Line
            isOffline={scanner.isOffline || kept !== null}
            hasList={scanner.hasList}
            needsList={showtimeId === ""}
          />
          <Camera found={scanner.see} />
          <Manual enter={scanner.scan} />
        </section>
        <section className="door-main" aria-label={t("scan.result")}>
          <Result verdict={scanner.verdict} count={scanner.count} />
          <Queue scanner={scanner} />
        </section>
      </div>
    </>
  );
}

interface LineProps {
  isOffline: boolean;
  hasList: boolean;
  needsList: boolean;
}

function Line({ isOffline, hasList, needsList }: LineProps) {
  const { t } = useWords();
  const text = isOffline
    ? "scan.offline"
    : hasList
      ? "scan.ready"
      : needsList
        ? "scan.noList"
        : "scan.loading";
  return (
    <p className={`line ${isOffline ? "lost" : "live"}`} role="status">
      {t(text)}
    </p>
  );
}

function Camera({ found }: { found: (text: string | null) => void }) {
  const { t } = useWords();
  const video = useRef<HTMLVideoElement>(null);
  const [isOn, setOn] = useState(false);
  const [isDenied, setDenied] = useState(false);
  const latest = useRef(found);
  latest.current = found;
  useEffect(() => {
    if (!isOn) return;
    const stop = new AbortController();
    const run = async () => {
      const { watchCamera } = await import("./camera");
      if (video.current === null || stop.signal.aborted) return;
      await watchCamera(video.current, (text) => latest.current(text), stop.signal);
    };
    run().catch(() => {
      if (stop.signal.aborted) return;
      setDenied(true);
      setOn(false);
    });
    return () => stop.abort();
  }, [isOn]);
  return (
    <div className="camera">
      {isOn && <video ref={video} muted playsInline aria-label={t("scan.camera")} />}
      {isDenied && (
        <p className="warning" role="alert">
          {t("scan.denied")}
        </p>
      )}
      <button
        type="button"
        className={isOn ? "button quiet" : "button"}
        onClick={() => {
          wakeSound();
          setDenied(false);
          setOn(!isOn);
        }}
      >
        {t(isOn ? "scan.stop" : "scan.start")}
      </button>
    </div>
  );
}

/** Readers that type end with Enter, and the field is ready for the next one. */
function Manual({ enter }: { enter: (text: string) => void }) {
  const { t } = useWords();
  return (
    <form
      className="promo"
      onSubmit={(event) => {
        event.preventDefault();
        wakeSound();
        const field = event.currentTarget.elements.namedItem("code") as HTMLInputElement;
        enter(field.value);
        field.value = "";
        field.focus();
      }}
    >
      <label className="field grow">
        <span>{t("scan.manual")}</span>
        <input name="code" autoComplete="off" spellCheck={false} maxLength={256} />
      </label>
      <button type="submit" className="button quiet">
        {t("scan.check")}
      </button>
    </form>
  );
}

const REFUSED: Partial<Record<string, Key>> = {
  TICKET_FORGED: "scan.forged",
  TICKET_REVOKED: "scan.revoked",
  TICKET_CANCELLED: "scan.cancelled",
  TICKET_UNPAID: "scan.unpaid",
  TICKET_BLOCKED: "scan.blocked",
  WRONG_CINEMA: "scan.wrongCinema",
  WRONG_SHOWTIME: "scan.wrongShowtime",
  TOO_EARLY: "scan.early",
  TOO_LATE: "scan.late",
  ALREADY_USED: "scan.used",
  NO_LIST: "scan.unknown",
  FORBIDDEN: "scan.forbidden",
};

const MARKS = { in: "✓", offline: "✓", refused: "×" } as const;

function Result({ verdict, count }: { verdict: Verdict | null; count: number }) {
  const { t, language } = useWords();
  // biome-ignore lint/correctness/useExhaustiveDependencies: one sound for each verdict.
  useEffect(() => {
    if (verdict !== null) soundOf(verdict.kind !== "refused");
  }, [count]);
  const kind = verdict?.kind ?? "none";
  return (
    <div className={`verdict ${kind}`} role="alert" data-count={count}>
      {verdict === null ? (
        <p>{t("scan.first")}</p>
      ) : (
        <>
          <span className="verdict-mark" aria-hidden="true">
            {MARKS[verdict.kind]}
          </span>
          {verdict.kind === "refused" ? (
            <>
              <strong>{t("scan.refused")}</strong>
              <p>{t(REFUSED[verdict.code] ?? "error.other")}</p>
              {verdict.since && (
                <p>{t("scan.since", { when: moment(ZONE, verdict.since, language) })}</p>
              )}
            </>
          ) : (
            <>
              <strong>{t(verdict.kind === "in" ? "scan.in" : "scan.inOffline")}</strong>
              <p className="verdict-seats">{verdict.seats.join(", ")}</p>
              {verdict.checks.map((check) => (
                <p key={check}>{t("scan.look", { check })}</p>
              ))}
              {verdict.kind === "in" && verdict.refused.length > 0 && (
                <p>{t("scan.notAll", { seats: verdict.refused.join(", ") })}</p>
              )}
            </>
          )}
        </>
      )}
    </div>
  );
}

function Queue({ scanner }: { scanner: Scanner }) {
  const { t, language } = useWords();
  const { waiting, told } = scanner;
  return (
    <>
      {waiting.length > 0 && (
        <section className="panel" aria-labelledby="queue">
          <h2 id="queue">{t("scan.queue", { n: waiting.length })}</h2>
          <ul className="rows">
            {waiting.map((one) => (
              <li key={one.nonce} className="row">
                <span>{one.seats.join(", ")}</span>
                <small>{clock(ZONE, one.at, language)}</small>
              </li>
            ))}
          </ul>
        </section>
      )}
      {(told.conflicts.length > 0 || told.refused.length > 0) && (
        <section className="panel" aria-labelledby="conflicts">
          <h2 id="conflicts">{t("scan.conflicts")}</h2>
          <ul className="rows">
            {told.conflicts.map((one) => (
              <li key={one.nonce + one.ticket_id}>
                {t("scan.conflict", {
                  seat: one.seat,
                  first: clock(ZONE, one.first_at, language),
                  also: clock(ZONE, one.also_at, language),
                })}
              </li>
            ))}
            {told.refused.map((one) => (
              <li key={one.code + one.seats.join()}>
                {one.seats.join(", ")}: {t(REFUSED[one.code] ?? "scan.refused")}
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
