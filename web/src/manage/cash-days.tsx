/** Business days of a cinema: tills that wait, days that are closed, and their numbered reports. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED, type Schemas, whole } from "../api/client";
import { clock, dayName, minorOf, money } from "../format";
import { useWords } from "../i18n";
import { Confirm, Field, type Fields, Form } from "../ui/form";
import type { Cinema } from "../ui/queries";
import { Dialog } from "../ui/state";
import { openDays } from "./cash-parts";
import { Answer, HousePage } from "./frame";

type Till = Schemas["CashSession"];
type Day = Schemas["BusinessDay"];

const PAGES_MOST = 5;

export function CashDaysPage() {
  const { t } = useWords();
  return (
    <HousePage title={t("cash.title")} side={() => <About />}>
      {(cinema) => <Days cinema={cinema} />}
    </HousePage>
  );
}

function About() {
  const { t } = useWords();
  return (
    <section className="panel" aria-labelledby="about">
      <h2 id="about">{t("cash.about")}</h2>
      <p>{t("cash.aboutText")}</p>
    </section>
  );
}

function useDays(cinema: Cinema) {
  return useInfiniteQuery({
    queryKey: ["business-days", cinema.id],
    queryFn: ({ pageParam }) => {
      const path = { cinema_id: cinema.id };
      const query = { limit: 30, cursor: pageParam ?? undefined };
      const params = { path, query };
      return whole(api.GET("/api/v1/cinemas/{cinema_id}/business-days", { params }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
    staleTime: 0,
  });
}

/** The newest tills, back to the last day that was closed. */
function useTills(cinema: Cinema, closed: string | undefined, isKnown: boolean) {
  return useQuery({
    queryKey: ["tills-of-days", cinema.id, closed],
    queryFn: async () => {
      const tills: Till[] = [];
      let cursor: string | undefined;
      for (let page = 0; page < PAGES_MOST; page += 1) {
        const query = { cinema_id: cinema.id, limit: 100, cursor };
        const body = await whole(api.GET("/api/v1/cash-sessions", { params: { query } }));
        tills.push(...body.data);
        cursor = body.meta.next_cursor ?? undefined;
        const last = body.data.at(-1)?.business_date;
        if (cursor === undefined || (closed && last && last <= closed)) break;
      }
      return tills;
    },
    enabled: isKnown,
    staleTime: 0,
  });
}

function Days({ cinema }: { cinema: Cinema }) {
  const { t } = useWords();
  const days = useDays(cinema);
  const closed = days.data?.pages[0]?.data[0]?.report.business_date;
  const tills = useTills(cinema, closed, days.data !== undefined);
  return (
    <Answer of={days}>
      {({ pages }) => (
        <>
          <section aria-labelledby="open">
            <h2 id="open">{t("cash.open")}</h2>
            <Answer of={tills}>
              {(all) => <OpenDays cinema={cinema} days={openDays(all, closed)} />}
            </Answer>
          </section>
          <section aria-labelledby="closed">
            <h2 id="closed">{t("cash.closed")}</h2>
            {pages[0]?.data.length === 0 ? (
              <p>{t("cash.noReports")}</p>
            ) : (
              <ul className="rows panel">
                {pages.flatMap((page) =>
                  page.data.map((one) => <ClosedDay key={one.digest} day={one} />),
                )}
              </ul>
            )}
            {days.hasNextPage && (
              <button type="button" className="button quiet" onClick={() => days.fetchNextPage()}>
                {t("bookings.more")}
              </button>
            )}
          </section>
        </>
      )}
    </Answer>
  );
}

function ClosedDay({ day: { report } }: { day: Day }) {
  const { t, language } = useWords();
  const { cinema_id, business_date, number, currency, sessions, counted, variance } = report;
  const facts = [
    t("cash.tills", { n: sessions.length }),
    `${t("till.counted")}: ${money({ amount: counted, currency }, language)}`,
    `${t("till.variance")}: ${money({ amount: variance, currency }, language)}`,
  ];
  return (
    <li className="row">
      <div>
        <strong>{dayName(business_date, language)}</strong>{" "}
        <span className="status">{t("cash.report", { n: number })}</span>
        <br />
        <small>{facts.join(" · ")}</small>
      </div>
      <Link
        to="/manage/cash-days/$cinemaId/$day"
        params={{ cinemaId: cinema_id, day: business_date }}
        className="button quiet"
        aria-label={`${t("cash.look")}: ${t("cash.report", { n: number })}`}
      >
        {t("cash.look")}
      </Link>
    </li>
  );
}

interface OpenDaysProps {
  cinema: Cinema;
  days: [string, Till[]][];
}

function OpenDays({ cinema, days }: OpenDaysProps) {
  const { t } = useWords();
  if (days.length === 0) return <p>{t("cash.noneText")}</p>;
  return days.map(([day, tills], index) => (
    <OpenDay key={day} cinema={cinema} day={day} tills={tills} isFirst={index === 0} />
  ));
}

interface OpenDayProps {
  cinema: Cinema;
  day: string;
  tills: Till[];
  /** Days are closed one after the other. */
  isFirst: boolean;
}

function OpenDay({ cinema, day, tills, isFirst }: OpenDayProps) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [isAsking, setAsking] = useState(false);
  const name = dayName(day, language);
  const open = tills.filter((one) => one.status === "open");
  const ended = useMutation({
    ...REPEATED,
    mutationFn: (key: string) => {
      const params = {
        path: { cinema_id: cinema.id, date: day },
        header: { "Idempotency-Key": key },
      };
      return ask(api.POST("/api/v1/cinemas/{cinema_id}/business-days/{date}/close", { params }));
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["business-days", cinema.id] });
      const params = { cinemaId: cinema.id, day };
      await navigate({ to: "/manage/cash-days/$cinemaId/$day", params });
    },
    onError: () => queries.invalidateQueries({ queryKey: ["tills-of-days", cinema.id] }),
  });
  return (
    <section className="panel" aria-labelledby={`day-${day}`}>
      <h3 id={`day-${day}`}>{name}</h3>
      <ul className="rows">
        {tills.map((one) => (
          <TillRow key={one.id} till={one} cinema={cinema} />
        ))}
      </ul>
      {open.length > 0 ? (
        <p>
          <small>{t("cash.tillsOpen", { tills: open.map((one) => one.till).join(", ") })}</small>
        </p>
      ) : isFirst ? (
        <button type="button" className="button" onClick={() => setAsking(true)}>
          {t("cash.close", { day: name })}
        </button>
      ) : (
        <p>
          <small>{t("cash.earlier")}</small>
        </p>
      )}
      {isAsking && (
        <Confirm
          title={t("cash.close", { day: name })}
          text={t("cash.sure")}
          action={t("cash.closeDay")}
          run={() => ended.mutate(newKey())}
          isBusy={ended.isPending}
          error={ended.error}
          close={() => setAsking(false)}
        />
      )}
    </section>
  );
}

function TillRow({ till, cinema }: { till: Till; cinema: Cinema }) {
  const { t, language } = useWords();
  const [isClosing, setClosing] = useState(false);
  const time = (at: string) => clock(cinema.time_zone, at, language);
  const amounts = [
    ["till.opening", till.opening],
    ["till.expected", till.expected],
    ["till.counted", till.counted],
    ["till.variance", till.variance],
  ] as const;
  const facts = amounts.flatMap(([key, amount]) =>
    amount ? [`${t(key)}: ${money(amount, language)}`] : [],
  );
  const isOpen = till.status === "open";
  return (
    <li className="row">
      <div>
        <strong>{till.till}</strong>{" "}
        <span className={isOpen ? "status bad" : "status"}>
          {isOpen
            ? t("cash.since", { time: time(till.opened_at) })
            : `${time(till.opened_at)} – ${till.closed_at ? time(till.closed_at) : ""}`}
        </span>
        <br />
        <small>{[...facts, till.note].filter(Boolean).join(" · ")}</small>
      </div>
      {isOpen && (
        <button
          type="button"
          className="button quiet"
          onClick={() => setClosing(true)}
          aria-label={`${t("till.close")}: ${till.till}`}
        >
          {t("till.close")}
        </button>
      )}
      {isClosing && <Closing till={till} cinema={cinema} close={() => setClosing(false)} />}
    </li>
  );
}

/** A till that whoever opened it has left. */
function Closing({ till, cinema, close }: { till: Till; cinema: Cinema; close: () => void }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const ended = useMutation({
    ...REPEATED,
    mutationFn: async ({ counted = "", note = "", key = "" }: Fields) => {
      const { currency } = till.opening;
      const amount = minorOf(counted, currency);
      if (amount === null) throw new ApiError("VALIDATION_ERROR", t("till.amountBad"), 400);
      const path = { cash_session_id: till.id };
      const params = { path, header: { "Idempotency-Key": key } };
      const body = { counted: { amount, currency }, note: note.trim() };
      return ask(api.POST("/api/v1/cash-sessions/{cash_session_id}/close", { params, body }));
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["tills-of-days", cinema.id] });
      void queries.invalidateQueries({ queryKey: ["till", cinema.id] });
      close();
    },
  });
  return (
    <Dialog title={`${t("till.close")}: ${till.till}`} close={close}>
      <Form
        submit={(fields) => ended.mutate({ ...fields, key: newKey() })}
        isBusy={ended.isPending}
        error={ended.error}
        action={t("till.close")}
      >
        <Field name="counted" label={t("till.counted")} most={12} />
        <Field name="note" label={t("till.note")} most={500} optional />
        <button type="button" className="button quiet" onClick={close}>
          {t("app.back")}
        </button>
      </Form>
    </Dialog>
  );
}
