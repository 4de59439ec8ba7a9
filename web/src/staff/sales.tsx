/** The box office: a showtime, how many, paid; and the till that it goes into. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { serverNow } from "../api/client";
import { type User, useSession } from "../api/session";
import { clock, dayIn, dayName, money } from "../format";
import { useWords } from "../i18n";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import { StaffOnly } from "./door";
import { useWorkplace, WorkplaceField } from "./place";
import { Printing, Sale, type Sold } from "./sale";
import { type Show, showsQuery } from "./shows";
import { Closed, type Till, TillPanel, useTill } from "./till";

/** Sales of this page that can be printed once more. */
const RECENT_MOST = 10;

export function SalesPage() {
  const { t } = useWords();
  const session = useSession();
  useTitle(t("staff.sales"));
  return <StaffOnly>{session.kind === "user" && <BoxOffice user={session.user} />}</StaffOnly>;
}

function BoxOffice({ user }: { user: User }) {
  const { t, language } = useWords();
  const place = useWorkplace();
  const { cinema } = place;
  const till = useTill(cinema, user);
  const [show, setShow] = useState<Show | null>(null);
  const [recent, setRecent] = useState<Sold[]>([]);
  const [closed, setClosed] = useState<Till | null>(null);
  return (
    <>
      <header className="page-head">
        <h1>{t("staff.sales")}</h1>
      </header>
      <div className="office">
        <div className="office-main">
          {cinema === undefined ? (
            <Skeleton className="list-skeleton" />
          ) : !till.data ? (
            <>
              {closed && <Closed till={closed} />}
              <TillPanel cinema={cinema} user={user} closed={setClosed} />
            </>
          ) : show ? (
            <Sale
              key={show.id}
              show={show}
              zone={cinema.time_zone}
              sold={(one) => setRecent((before) => [one, ...before].slice(0, RECENT_MOST))}
              leave={() => setShow(null)}
            />
          ) : (
            <Today cinema={cinema} choose={setShow} />
          )}
        </div>
        <div className="office-side">
          <WorkplaceField
            {...place}
            choose={(id) => {
              setShow(null);
              place.choose(id);
            }}
          />
          {cinema && till.data && <TillPanel cinema={cinema} user={user} closed={setClosed} />}
          {recent.length > 0 && (
            <section className="panel" aria-labelledby="recent">
              <h2 id="recent">{t("sale.recent")}</h2>
              <ul className="rows">
                {recent.map((one) => (
                  <li key={one.booking.id} className="row">
                    <span>
                      <code>{one.booking.code}</code>{" "}
                      {clock(one.zone, one.show.starts_at, language)} {one.show.movie_title}
                      <br />
                      <small>
                        {one.booking.seats.map((seat) => seat.label).join(", ")} ·{" "}
                        {money(one.booking.total, language)}
                      </small>
                    </span>
                    <Printing booking={one.booking} label={t("sale.again")} />
                  </li>
                ))}
              </ul>
            </section>
          )}
        </div>
      </div>
    </>
  );
}

interface TodayProps {
  cinema: NonNullable<ReturnType<typeof useWorkplace>["cinema"]>;
  choose: (show: Show) => void;
}

function Today({ cinema, choose }: TodayProps) {
  const { t, language } = useWords();
  const shows = useQuery(showsQuery(cinema));
  if (shows.isError) return <Failure error={shows.error} again={() => shows.refetch()} />;
  if (shows.data === undefined) return <Skeleton className="list-skeleton" />;
  const now = serverNow();
  const today = dayIn(cinema.time_zone, now);
  const open = shows.data.filter((one) => Date.parse(one.ends_at) > now);
  if (open.length === 0) return <Empty title={t("sale.none")} text={t("sale.noneText")} />;
  return (
    <ul className="times shows" aria-label={t("sale.today")}>
      {open.map((one) => (
        <li key={one.id}>
          <button type="button" className="time" onClick={() => choose(one)}>
            <strong>{clock(cinema.time_zone, one.starts_at, language)}</strong>
            {dayIn(cinema.time_zone, one.starts_at) !== today && (
              <span>{dayName(dayIn(cinema.time_zone, one.starts_at), language)}</span>
            )}
            <span>{one.movie_title}</span>
            <span>
              {one.screen_name} · {money(one.base_price, language)}
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}
