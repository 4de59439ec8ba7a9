/** What happens right now: sales a minute, watchers, nodes, errors; asked for every second. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api, ask, type Schemas } from "../api/client";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Failure, keyOf, Skeleton, useTitle } from "../ui/state";
import { errorsSince, perSecond, sumOf } from "./rates";
import "../styles/reports.css";

type Live = Schemas["Live"];

const ADMINS = ["admin"] as const;
const EVERY_MS = 1000;

export function LivePage() {
  const { t } = useWords();
  useTitle(t("live.title"));
  return (
    <StaffOnly roles={ADMINS}>
      <Now />
    </StaffOnly>
  );
}

function Now() {
  const { t, language } = useWords();
  const live = useQuery({
    queryKey: ["live"],
    queryFn: () => ask(api.GET("/api/v1/admin/live")),
    staleTime: 0,
    gcTime: 0,
    retry: false,
    refetchInterval: EVERY_MS,
  });
  const [first, before] = useEarlier(live.data);
  if (live.data === undefined)
    return live.isError ? (
      <Failure error={live.error} again={() => live.refetch()} />
    ) : (
      <Skeleton className="list-skeleton" />
    );
  const { at, nodes, minutes } = live.data;
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const when = new Intl.DateTimeFormat(language, { timeStyle: "medium" }).format(new Date(at));
  const answering = nodes.filter((one) => one.counts !== null);
  const tiles = [
    ["live.bookings", number.format(minutes[0]?.bookings ?? 0)],
    ["live.tickets", number.format(minutes[0]?.tickets ?? 0)],
    ["live.watchers", number.format(sumOf(nodes, "watchers"))],
    ["live.requestsPerSecond", before ? number.format(perSecond(before, live.data)) : "–"],
    ["live.errorsSince", first ? number.format(errorsSince(first, live.data)) : "–"],
    ["live.nodes", `${answering.length}/${nodes.length}`],
  ] as const;
  const most = Math.max(1, ...minutes.map((one) => one.bookings));
  return (
    <>
      <header className="page-head">
        <h1>{t("live.title")}</h1>
        <p>{t("live.at", { when })}</p>
      </header>
      {live.isError && (
        <p className="warning" role="alert">
          {t(keyOf(live.error))}
        </p>
      )}
      <dl className="figures">
        {tiles.map(([key, value]) => (
          <div key={key} className="panel">
            <dt>{t(key)}</dt>
            <dd>
              <strong>{value}</strong>
            </dd>
          </div>
        ))}
      </dl>
      <section className="panel live" aria-labelledby="minutes">
        <h2 id="minutes">{t("live.minutes")}</h2>
        <svg
          className="minutes"
          viewBox={`0 0 ${minutes.length} 1`}
          preserveAspectRatio="none"
          role="img"
          aria-label={[...minutes]
            .reverse()
            .map((one) => one.bookings)
            .join(", ")}
        >
          {minutes.map((one) => (
            <rect
              key={one.ago}
              x={minutes.length - 1 - one.ago + 0.1}
              width={0.8}
              y={1 - one.bookings / most}
              height={one.bookings / most}
            />
          ))}
        </svg>
      </section>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what is scrolled needs the keyboard too */}
      <section className="sheet panel" aria-label={t("live.nodes")} tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("live.node")}</th>
              <th scope="col">{t("live.state")}</th>
              {COUNTS.map((key) => (
                <th key={key} scope="col" className="number">
                  {t(`live.${key}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {nodes.map(({ node_id, address, draining, counts }) => (
              <tr key={node_id}>
                <th scope="row">{address}</th>
                <td>
                  <span className={counts === null ? "status bad" : "status"}>
                    {t(
                      counts === null ? "live.silent" : draining ? "live.draining" : "live.serving",
                    )}
                  </span>
                </td>
                {COUNTS.map((key) => (
                  <td key={key} className="number">
                    {counts === null ? "–" : number.format(counts[key])}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

const COUNTS = ["showtimes", "waiting", "watchers", "requests", "errors"] as const;

/** The first answer of this page, and the one before the last: rates are differences. */
function useEarlier(now: Live | undefined): [Live | undefined, Live | undefined] {
  const [first, setFirst] = useState<Live>();
  const [pair, setPair] = useState<Live>();
  const last = useRef<Live>(undefined);
  useEffect(() => {
    if (now === undefined) return;
    setFirst((known) => known ?? now);
    setPair(last.current);
    last.current = now;
  }, [now]);
  return [first, pair];
}
