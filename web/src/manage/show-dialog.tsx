/** One showtime: added, moved, changed, cancelled. What is in its way is said before anything is sent. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import { minorOf } from "../format";
import { useWords } from "../i18n";
import type { Show } from "../staff/shows";
import { Field, type Fields, Form, Newest, Refusal, STEADY } from "../ui/form";
import { type Cinema, type Movie, type Showtime, showtimeQuery } from "../ui/queries";
import { Dialog, Skeleton } from "../ui/state";
import type { Room } from "./board";
import { Channels } from "./channels";
import { Presale } from "./presale";
import { QueueSwitch } from "./queue-switch";
import { instantOf, inTheWay, MINUTE_MS, timeIn } from "./timetable-parts";

/** What the dialog begins with. */
export interface Wish {
  /** The showtime that is changed; none if one is added. */
  show?: Show;
  screenId: string;
  startMs: number;
  filmId?: string;
}

export interface DialogProps {
  wish: Wish;
  cinema: Cinema;
  rooms: readonly Room[];
  films: readonly Movie[];
  shows: readonly Show[];
  adsMinutes: number;
  cleaningMinutes: number;
  day: string;
  close: () => void;
}

export function ShowDialog(props: DialogProps) {
  const { t } = useWords();
  const { show } = props.wish;
  const title = show ? show.movie_title : t("table.add");
  return (
    <Dialog title={title} close={props.close}>
      {show ? <Changing {...props} show={show} /> : <Adding {...props} />}
    </Dialog>
  );
}

function useDone(close: () => void) {
  const queries = useQueryClient();
  return async () => {
    await queries.invalidateQueries({ queryKey: ["timetable"] });
    // What visitors see of it, on this device.
    for (const key of ["showtimes", "showtime", "shows"])
      void queries.invalidateQueries({ queryKey: [key] });
    close();
  };
}

const FIELDS = ["movie_id", "screen_id", "starts_at", "base_price", "format", "language"] as const;

function priceOf(fields: Fields, currency: string) {
  const amount = minorOf(fields.base_price ?? "", currency);
  return amount === null ? null : { amount, currency };
}

function Adding(props: DialogProps) {
  const { wish, cinema, films, day } = props;
  const { t } = useWords();
  const done = useDone(props.close);
  const [filmId, setFilmId] = useState(wish.filmId ?? films[0]?.id ?? "");
  const film = films.find((one) => one.id === filmId);
  const added = useMutation({
    ...REPEATED,
    mutationFn: ({ key, body }: { key: string; body: Schemas["ShowtimeInput"] }) =>
      ask(api.POST("/api/v1/showtimes", { params: { header: { "Idempotency-Key": key } }, body })),
    onSuccess: done,
  });
  return (
    <Shared
      {...props}
      minutes={(film?.runtime_minutes ?? 0) + props.adsMinutes}
      isBusy={added.isPending || film === undefined}
      error={added.error}
      action={t("table.add")}
      initial={{
        date: day,
        time: timeIn(cinema.time_zone, wish.startMs),
        format: "2D",
        language: film?.languages[0] ?? "en",
        base_price: "",
      }}
      save={(body) => added.mutate({ key: newKey(), body: { movie_id: filmId, ...body } })}
    >
      <div className="field">
        <label htmlFor="show-film">{t("table.film")}</label>
        <select id="show-film" value={filmId} onChange={(event) => setFilmId(event.target.value)}>
          {films.map((one) => (
            <option key={one.id} value={one.id}>
              {one.title}
            </option>
          ))}
        </select>
      </div>
    </Shared>
  );
}

function Changing(props: DialogProps & { show: Show }) {
  const { show } = props;
  const showtime = useQuery({ ...showtimeQuery(show.id), ...STEADY });
  if (showtime.isError) return <Refusal error={showtime.error} />;
  if (showtime.data === undefined || !showtime.isFetchedAfterMount)
    return <Skeleton className="times-skeleton" />;
  return <Loaded {...props} showtime={showtime.data} again={showtime.refetch} />;
}

interface LoadedProps extends DialogProps {
  show: Show;
  showtime: Showtime;
  again: () => Promise<unknown>;
}

function Loaded(props: LoadedProps) {
  const { wish, cinema, show, showtime, again } = props;
  const { t, language } = useWords();
  const done = useDone(props.close);
  const [part, setPart] = useState<"facts" | "queue" | "presale" | "channels" | "cancel">("facts");
  const [round, setRound] = useState(0);
  const changed = useMutation({
    mutationFn: (body: Omit<Schemas["ShowtimeInput"], "movie_id">) => {
      const { movie_id, price_overrides, rules, sales } = showtime;
      // Sales end as long after the start as before; the server opens them as it does by default.
      const later = Date.parse(body.starts_at) - Date.parse(showtime.starts_at);
      const closes_at = new Date(Date.parse(sales.closes_at) + later).toISOString();
      const params = {
        path: { showtime_id: show.id },
        header: { "If-Match": `"${showtime.version ?? 1}"` },
      };
      const whole = {
        ...body,
        movie_id,
        price_overrides,
        rules,
        sales: { opens_at: sales.opens_at, closes_at },
      };
      return ask(api.PUT("/api/v1/showtimes/{showtime_id}", { params, body: whole }));
    },
    onSuccess: done,
  });
  const { amount, currency } = showtime.base_price;
  const back = () => setPart("facts");
  if (part === "cancel") return <Cancelling {...props} done={done} back={back} />;
  if (part === "queue") return <QueueSwitch showtimeId={show.id} cinema={cinema} back={back} />;
  if (part === "presale") return <Presale showtimeId={show.id} cinema={cinema} back={back} />;
  if (part === "channels")
    return <Channels showtime={showtime} cinema={cinema} done={done} again={again} back={back} />;
  const minutes = (Date.parse(showtime.ends_at) - Date.parse(showtime.starts_at)) / MINUTE_MS;
  return (
    <Shared
      key={round}
      {...props}
      minutes={minutes}
      isBusy={changed.isPending}
      error={changed.error}
      action={t("me.save")}
      initial={{
        date: dateIn(cinema.time_zone, wish.startMs),
        time: timeIn(cinema.time_zone, wish.startMs),
        format: showtime.format,
        language: showtime.language,
        base_price: plainAmount(amount, currency, language),
      }}
      save={changed.mutate}
    >
      <p>
        <small>{t("table.moveText")}</small>
      </p>
      <Newest
        error={changed.error}
        again={async () => {
          await again();
          changed.reset();
          setRound(round + 1);
        }}
      />
      <button type="button" className="button quiet" onClick={() => setPart("queue")}>
        {t("queue.title")}
      </button>
      <button type="button" className="button quiet" onClick={() => setPart("presale")}>
        {t("presale.title")}
      </button>
      <button type="button" className="button quiet" onClick={() => setPart("channels")}>
        {t("channels.title")}
      </button>
      <button type="button" className="button danger" onClick={() => setPart("cancel")}>
        {t("table.cancel")}
      </button>
    </Shared>
  );
}

function dateIn(zone: string, atMs: number): string {
  return new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).format(atMs);
}

/** An amount as a field has it: digits and a mark, without a currency. */
export function plainAmount(amount: number, currency: string, language: string): string {
  const { maximumFractionDigits: digits = 2 } = new Intl.NumberFormat("en", {
    style: "currency",
    currency,
  }).resolvedOptions();
  return new Intl.NumberFormat(language, {
    useGrouping: false,
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(amount / 10 ** digits);
}

interface SharedProps extends DialogProps {
  minutes: number;
  isBusy: boolean;
  error: Error | null;
  action: string;
  initial: Fields;
  save: (body: Omit<Schemas["ShowtimeInput"], "movie_id">) => void;
  children: React.ReactNode;
}

/** What is the same whether a showtime is new or not. */
function Shared(props: SharedProps) {
  const { wish, cinema, rooms, shows, cleaningMinutes, initial, minutes } = props;
  const { t } = useWords();
  const [screenId, setScreenId] = useState(wish.screenId);
  const [when, setWhen] = useState({ date: initial.date ?? "", time: initial.time ?? "" });
  const [isBadPrice, setBadPrice] = useState(false);
  const isWhen = when.date !== "" && when.time !== "";
  const startMs = isWhen ? instantOf(cinema.time_zone, when.date, when.time) : wish.startMs;
  const span = {
    id: wish.show?.id ?? "",
    screen_id: screenId,
    starts_at: new Date(startMs).toISOString(),
    ends_at: new Date(startMs + minutes * MINUTE_MS).toISOString(),
  };
  const conflicts = inTheWay(span, shows, cleaningMinutes);
  const submit = (fields: Fields) => {
    const base_price = priceOf(fields, cinema.currency);
    setBadPrice(base_price === null);
    if (base_price === null) return;
    props.save({
      screen_id: screenId,
      starts_at: span.starts_at,
      base_price,
      format: (fields.format ?? "").trim(),
      language: (fields.language ?? "").trim(),
    });
  };
  return (
    <Form
      submit={submit}
      isBusy={props.isBusy}
      error={props.error}
      action={props.action}
      fields={FIELDS}
    >
      <div className="field">
        <label htmlFor="show-screen">{t("table.screen")}</label>
        <select
          id="show-screen"
          value={screenId}
          onChange={(event) => setScreenId(event.target.value)}
        >
          {rooms.map((room) => (
            <option key={room.id} value={room.id}>
              {room.name}
            </option>
          ))}
        </select>
      </div>
      <div className="pair">
        <label className="field">
          <span>{t("home.day")}</span>
          <input
            type="date"
            required
            value={when.date}
            onChange={(event) => setWhen({ ...when, date: event.target.value })}
          />
        </label>
        <label className="field">
          <span>{t("table.start")}</span>
          <input
            type="time"
            required
            value={when.time}
            onChange={(event) => setWhen({ ...when, time: event.target.value })}
          />
        </label>
      </div>
      <p role="status" className={conflicts.length > 0 ? "warning" : undefined}>
        {conflicts.length > 0
          ? t("table.inTheWay", {
              shows: conflicts
                .map(
                  (one) =>
                    `${timeIn(cinema.time_zone, Date.parse(one.starts_at))} ${one.movie_title}`,
                )
                .join(", "),
            })
          : t("table.ends", { time: timeIn(cinema.time_zone, Date.parse(span.ends_at)) })}
      </p>
      {!wish.show && props.children}
      <div className="pair">
        <Field
          name="base_price"
          label={t("table.price", { currency: cinema.currency })}
          initial={initial.base_price}
          most={12}
        />
        <Field name="format" label={t("table.format")} initial={initial.format} most={16} />
        <Field
          key={initial.language}
          name="language"
          label={t("table.language")}
          initial={initial.language}
          most={35}
        />
      </div>
      {isBadPrice && (
        <p className="warning" role="alert">
          {t("till.amountBad")}
        </p>
      )}
      {wish.show && props.children}
      <button type="button" className="button quiet" onClick={props.close}>
        {t("app.back")}
      </button>
    </Form>
  );
}

interface CancellingProps extends LoadedProps {
  done: () => Promise<void>;
  back: () => void;
}

function Cancelling({ show, showtime, done, back }: CancellingProps) {
  const { t } = useWords();
  const cancelled = useMutation({
    ...REPEATED,
    mutationFn: ({ key, reason }: { key: string; reason: string }) => {
      const header = { "If-Match": `"${showtime.version ?? 1}"`, "Idempotency-Key": key };
      const params = { path: { showtime_id: show.id }, header, query: { reason } };
      return ask(api.DELETE("/api/v1/showtimes/{showtime_id}", { params }));
    },
    onSuccess: done,
  });
  return (
    <Form
      submit={({ reason = "" }) => cancelled.mutate({ key: newKey(), reason: reason.trim() })}
      isBusy={cancelled.isPending}
      error={cancelled.error}
      action={t("table.cancelYes")}
    >
      <p>{t("table.cancelText")}</p>
      <Field
        name="reason"
        label={t("till.reason")}
        hint={t("table.reasonHint")}
        most={500}
        optional
      />
      <button type="button" className="button quiet" onClick={back}>
        {t("app.back")}
      </button>
    </Form>
  );
}
