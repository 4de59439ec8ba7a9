/** The scheduler's plan: asked for, awaited, shown as what it would add, and applied. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError, api, ask, newKey, REPEATED, type Schemas } from "../api/client";
import { dayIn, dayName, minorOf, money } from "../format";
import { useWords } from "../i18n";
import { Field, type Fields, Form, Refusal } from "../ui/form";
import type { Cinema, Movie } from "../ui/queries";
import type { Proposed, Room } from "./board";
import { dayAfter, timeIn } from "./timetable-parts";

type Plan = Schemas["SchedulePlan"];

const LOOK_EVERY_MS = 1000;
const SECONDS = 15;
const UNDECIDED: readonly Plan["status"][] = ["queued", "running"];

export interface Planned {
  plan: Plan | undefined;
  error: Error | null;
  proposed: readonly Proposed[];
  begin: (id: string) => void;
  end: () => void;
}

/** A plan that is being made or looked at. */
export function usePlan(cinema: Cinema): Planned {
  const [id, setId] = useState<string | null>(null);
  const plan = useQuery({
    queryKey: ["schedule-plan", cinema.id, id],
    queryFn: () =>
      ask(api.GET("/api/v1/schedule/plans/{plan_id}", { params: { path: { plan_id: id ?? "" } } })),
    enabled: id !== null,
    staleTime: 0,
    refetchInterval: ({ state }) =>
      state.data && !UNDECIDED.includes(state.data.status) ? false : LOOK_EVERY_MS,
  });
  const data = id === null ? undefined : plan.data;
  const isOpen = data !== undefined && [...UNDECIDED, "done"].includes(data.status);
  const proposed = (isOpen ? data.shows : []).map(
    (show, at): Proposed => ({
      ...show,
      id: `plan ${at}`,
      movie_title: "",
      screen_name: "",
      local_start: timeIn(cinema.time_zone, Date.parse(show.starts_at)),
      isNew: true,
    }),
  );
  return { plan: data, error: plan.error, proposed, begin: setId, end: () => setId(null) };
}

interface SchedulerProps {
  cinema: Cinema;
  day: string;
  rooms: readonly Room[];
  films: readonly Movie[];
  plan: Planned;
}

export function Scheduler(props: SchedulerProps) {
  const { t } = useWords();
  const { plan } = props.plan;
  return (
    <details className="panel scheduler">
      <summary>{t("plans.title")}</summary>
      {plan === undefined ? <Asking {...props} /> : <Looking {...props} made={plan} />}
      <Refusal error={props.plan.error} />
    </details>
  );
}

/** How many people want to see a film on a day, as somebody types it; empty for none. */
function wishesOf(fields: Fields): Schemas["FilmInput"][] {
  return Object.entries(fields).flatMap(([name, text]) => {
    const visitors = Number(text);
    return name.startsWith("film ") && visitors > 0
      ? [{ movie_id: name.slice("film ".length), visitors }]
      : [];
  });
}

function Asking({ cinema, day, films, plan }: SchedulerProps) {
  const { t } = useWords();
  const asked = useMutation({
    ...REPEATED,
    mutationFn: ({ key, fields }: { key: string; fields: Fields }) => {
      const price = (name: string) => {
        const amount = minorOf(fields[name] ?? "", cinema.currency);
        if (amount === null) throw new ApiError("VALIDATION_ERROR", t("till.amountBad"), 400);
        return { amount, currency: cinema.currency };
      };
      const wishes = wishesOf(fields);
      if (wishes.length === 0) throw new ApiError("VALIDATION_ERROR", t("plans.noFilms"), 400);
      const body = {
        cinema_id: cinema.id,
        date_from: fields.date_from ?? day,
        date_to: fields.date_to ?? day,
        films: wishes,
        base_price: price("base_price"),
        ...(fields.prime_price && { prime_price: price("prime_price") }),
        seconds: Number(fields.seconds),
      };
      const params = { header: { "Idempotency-Key": key } };
      return ask(api.POST("/api/v1/schedule/generate", { params, body }));
    },
    onSuccess: (made) => plan.begin(made.id),
  });
  return (
    <Form
      submit={(fields) => asked.mutate({ key: newKey(), fields })}
      isBusy={asked.isPending}
      error={asked.error}
      action={t("plans.make")}
      fields={["date_from", "date_to", "base_price", "prime_price", "seconds"]}
    >
      <p>
        <small>{t("plans.text")}</small>
      </p>
      <div className="pair">
        <Field name="date_from" type="date" label={t("reports.from")} initial={day} />
        <Field name="date_to" type="date" label={t("reports.to")} initial={dayAfter(day, 6)} />
        <Field
          name="base_price"
          label={t("table.price", { currency: cinema.currency })}
          most={12}
        />
        <Field name="prime_price" label={t("plans.prime")} most={12} optional />
        <Field
          name="seconds"
          type="number"
          label={t("plans.seconds")}
          initial={String(SECONDS)}
          least={1}
          greatest={600}
        />
      </div>
      <fieldset className="tool-group">
        <legend>{t("plans.films")}</legend>
        <div className="wanted">
          {films.map((film) => (
            <Field
              key={film.id}
              name={`film ${film.id}`}
              type="number"
              label={film.title}
              least={0}
              greatest={100000}
              optional
            />
          ))}
        </div>
      </fieldset>
    </Form>
  );
}

interface LookingProps extends SchedulerProps {
  made: Plan;
}

function Looking(props: LookingProps) {
  const { made, plan } = props;
  const { t, language } = useWords();
  const queries = useQueryClient();
  const path = { plan_id: made.id };
  const again = () =>
    Promise.all(
      ["timetable", "schedule-plan", "showtimes", "shows"].map((key) =>
        queries.invalidateQueries({ queryKey: [key] }),
      ),
    );
  const applied = useMutation({
    ...REPEATED,
    mutationFn: () => ask(api.POST("/api/v1/schedule/plans/{plan_id}/apply", { params: { path } })),
    onSuccess: again,
  });
  const stopped = useMutation({
    mutationFn: () => ask(api.DELETE("/api/v1/schedule/plans/{plan_id}", { params: { path } })),
    onSettled: again,
  });
  const isMaking = UNDECIDED.includes(made.status);
  const percent = new Intl.NumberFormat(language, { style: "percent" });
  return (
    <>
      <p role="status">
        {isMaking
          ? t("plans.making", { percent: percent.format(made.progress) })
          : t(`plans.${made.status as Exclude<Plan["status"], "queued" | "running">}`, {
              n: made.shows.length,
            })}
      </p>
      {isMaking && <progress max={1} value={made.progress} aria-label={t("plans.progress")} />}
      <Difference {...props} />
      <Conflicts error={applied.error} {...props} />
      <div className="actions">
        {made.status === "done" && (
          <button
            type="button"
            className="button"
            disabled={applied.isPending || made.shows.length === 0}
            onClick={() => applied.mutate()}
          >
            {t("plans.apply", { n: made.shows.length })}
          </button>
        )}
        {isMaking && (
          <button
            type="button"
            className="button danger"
            disabled={stopped.isPending}
            onClick={() => stopped.mutate()}
          >
            {t("plans.stop")}
          </button>
        )}
        {!isMaking && (
          <button type="button" className="button quiet" onClick={plan.end}>
            {t(made.status === "applied" ? "plans.another" : "plans.drop")}
          </button>
        )}
      </div>
    </>
  );
}

/** What the plan adds, day by day; what is there already stays. */
function Difference({ made, cinema, rooms, films }: LookingProps) {
  const { t, language } = useWords();
  const zone = cinema.time_zone;
  const titleOf = (id: string) => films.find((film) => film.id === id)?.title ?? "…";
  const screenOf = (id: string) => rooms.find((room) => room.id === id)?.name ?? "…";
  const shows = [...made.shows].sort((a, b) => a.starts_at.localeCompare(b.starts_at));
  const days = [...new Set(shows.map((show) => dayIn(zone, show.starts_at)))];
  return (
    <>
      {days.map((day) => (
        <section key={day} aria-label={dayName(day, language)}>
          <h3>{dayName(day, language)}</h3>
          <ul className="difference">
            {shows
              .filter((show) => dayIn(zone, show.starts_at) === day)
              .map((show) => (
                <li key={`${show.screen_id} ${show.starts_at}`}>
                  <strong>+ {timeIn(zone, Date.parse(show.starts_at))}</strong>{" "}
                  {titleOf(show.movie_id)}{" "}
                  <small>
                    {screenOf(show.screen_id)} · {show.format} · {show.language} ·{" "}
                    {money(show.base_price, language)}
                  </small>
                </li>
              ))}
          </ul>
        </section>
      ))}
      {made.unmet.length > 0 && (
        <p className="warning">
          {t("plans.unmet", {
            films: [...new Set(made.unmet.map((one) => titleOf(one.movie_id)))].join(", "),
          })}
        </p>
      )}
    </>
  );
}

/** What has come into the way since the plan was made. */
function Conflicts({ error, cinema, films }: { error: Error | null } & LookingProps) {
  const { language } = useWords();
  const told = error instanceof ApiError ? error.details.conflicts : undefined;
  const shows = (Array.isArray(told) ? told : []) as Schemas["PlannedShow"][];
  return (
    <>
      <Refusal error={error} />
      <ul className="notes">
        {shows.map(({ screen_id, starts_at, movie_id }) => (
          <li key={`${screen_id} ${starts_at}`}>
            {dayName(dayIn(cinema.time_zone, starts_at), language)}{" "}
            {timeIn(cinema.time_zone, Date.parse(starts_at))}{" "}
            {films.find((film) => film.id === movie_id)?.title}
          </li>
        ))}
      </ul>
    </>
  );
}
