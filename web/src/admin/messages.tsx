/** Mails and short messages: what was given up and may be sent again, and how each kind reads. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, ask, type Schemas, whole } from "../api/client";
import { moment } from "../format";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Refusal } from "../ui/form";
import { Empty, Failure, Skeleton, showCurrent, useTitle } from "../ui/state";
import { MESSAGE_STATUSES } from "./parts";
import "../styles/manage.css";

type Message = Schemas["SentMessage"];

const ADMINS = ["admin"] as const;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const route = getRouteApi("/admin/messages");

export function MessagesPage() {
  const { t } = useWords();
  useTitle(t("sent.title"));
  return (
    <StaffOnly roles={ADMINS}>
      <header className="page-head">
        <h1>{t("sent.title")}</h1>
      </header>
      <div className="office">
        <div className="office-main">
          <Messages />
        </div>
        <div className="office-side">
          <Preview />
        </div>
      </div>
    </StaffOnly>
  );
}

function Messages() {
  const { t } = useWords();
  const { status = "dead" } = route.useSearch();
  const messages = useInfiniteQuery({
    queryKey: ["messages", status],
    queryFn: ({ pageParam }) => {
      const query = { status, limit: 50, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/admin/messages", { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
    staleTime: 0,
  });
  const all = messages.data?.pages.flatMap((page) => page.data);
  return (
    <>
      <nav ref={showCurrent} className="days" aria-label={t("sent.title")}>
        {MESSAGE_STATUSES.map((one) => (
          <Link
            key={one}
            to="/admin/messages"
            search={{ status: one }}
            replace
            className="chip"
            aria-current={one === status ? "page" : undefined}
          >
            {t(`sent.${one}`)}
          </Link>
        ))}
      </nav>
      {messages.isError ? (
        <Failure error={messages.error} again={() => messages.refetch()} />
      ) : all === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : all.length === 0 ? (
        <Empty title={t("reviews.noneHere")} text={t(`sent.none.${status}`)} />
      ) : (
        <ul className="rows panel">
          {all.map((one) => (
            <Row key={one.id} message={one} />
          ))}
        </ul>
      )}
      {messages.hasNextPage && (
        <button type="button" className="button quiet" onClick={() => messages.fetchNextPage()}>
          {t("bookings.more")}
        </button>
      )}
    </>
  );
}

function Row({ message }: { message: Message }) {
  const { t, many, language } = useWords();
  const queries = useQueryClient();
  const { kind, to, channel, attempts, created_at, next_try_at, ended_at, last_error } = message;
  const again = useMutation({
    mutationFn: () => {
      const params = { path: { message_id: message.id } };
      return ask(api.POST("/api/v1/admin/messages/{message_id}/retry", { params }));
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["messages"] }),
  });
  const facts = [
    t("sent.asked", { when: moment(ZONE, created_at, language) }),
    attempts > 0 && many("hooks.tries", attempts),
    next_try_at && t("sent.next", { when: moment(ZONE, next_try_at, language) }),
    ended_at && t("sent.ended", { when: moment(ZONE, ended_at, language) }),
    last_error,
  ];
  return (
    <li className="row">
      <div>
        <strong>{to}</strong> <span className="status">{t(`sent.channel.${channel}`)}</span>
        <br />
        <code>{kind}</code>
        <br />
        <small>{facts.filter(Boolean).join(" · ")}</small>
        <Refusal error={again.error} />
      </div>
      {message.status === "dead" && (
        <button
          type="button"
          className="button quiet"
          disabled={again.isPending}
          onClick={() => again.mutate()}
          aria-label={`${t("hooks.again")}: ${to}, ${kind}`}
        >
          {t("hooks.again")}
        </button>
      )}
    </li>
  );
}

/** A mail with made-up values, which nobody gets. */
function Preview() {
  const { t, language } = useWords();
  const [chosen, setChosen] = useState<string>();
  const [tongue, setTongue] = useState<"en" | "de">(language);
  const kinds = useQuery({
    queryKey: ["message-kinds"],
    queryFn: () => ask(api.GET("/api/v1/admin/messages/kinds")),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const known = kinds.data?.find((one) => one.kind === chosen) ?? kinds.data?.[0];
  const kind = known?.kind;
  const mail = useQuery({
    queryKey: ["message-preview", kind, tongue],
    queryFn: () => {
      const params = { query: { kind: kind ?? "", language: tongue } };
      return ask(api.GET("/api/v1/admin/messages/preview", { params }));
    },
    enabled: kind !== undefined,
    staleTime: 60_000,
  });
  return (
    <section className="panel mail" aria-labelledby="preview">
      <h2 id="preview">{t("sent.preview")}</h2>
      <label className="field">
        <span>{t("sent.kind")}</span>
        <select value={kind ?? ""} onChange={(event) => setChosen(event.target.value)}>
          {kinds.data?.map((one) => (
            <option key={one.kind}>{one.kind}</option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>{t("app.language")}</span>
        <select
          value={tongue}
          onChange={(event) => setTongue(event.target.value === "de" ? "de" : "en")}
        >
          <option value="en">English</option>
          <option value="de">Deutsch</option>
        </select>
      </label>
      <p>
        <small>{known && t(known.optional ? "sent.optional" : "sent.always")}</small>
      </p>
      {kinds.isError || mail.isError ? (
        <Refusal error={kinds.error ?? mail.error} />
      ) : mail.data === undefined ? (
        <Skeleton className="times-skeleton" />
      ) : (
        <article lang={mail.data.language}>
          <h3>{mail.data.subject}</h3>
          <p className="said">{mail.data.text}</p>
        </article>
      )}
    </section>
  );
}
