/** The waiting room of a showtime: opened, changed, closed; how many wait is asked for as long as one looks. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, type Schemas, serverNow } from "../api/client";
import { dayIn, moment } from "../format";
import { useWords } from "../i18n";
import { Field, type Fields, Form, Refusal } from "../ui/form";
import type { Cinema } from "../ui/queries";
import { Skeleton } from "../ui/state";
import { instantAt } from "./timetable-parts";

type Room = Schemas["WaitingRoom"];

const EVERY_MS = 2000;
const MODES = ["off", "on", "by_load"] as const;
type Mode = (typeof MODES)[number];

interface QueueProps {
  showtimeId: string;
  cinema: Cinema;
  back: () => void;
}

export function QueueSwitch({ showtimeId, cinema, back }: QueueProps) {
  const room = useQuery({
    queryKey: ["waiting-room", showtimeId],
    queryFn: () => {
      const params = { path: { showtime_id: showtimeId } };
      return ask(api.GET("/api/v1/showtimes/{showtime_id}/queue", { params }));
    },
    staleTime: 0,
    gcTime: 0,
    refetchInterval: EVERY_MS,
  });
  if (room.data === undefined)
    return room.isError ? <Refusal error={room.error} /> : <Skeleton className="times-skeleton" />;
  return <Switch room={room.data} cinema={cinema} back={back} />;
}

function modeOf({ status }: Room): Mode {
  if (status === "off") return "off";
  return status === "armed" ? "by_load" : "on";
}

function Switch({ room, cinema, back }: { room: Room; cinema: Cinema; back: () => void }) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const key = ["waiting-room", room.showtime_id];
  const [mode, setMode] = useState<Mode>(() => modeOf(room));
  const put = useMutation({
    mutationFn: (fields: Fields) => {
      const today = dayIn(cinema.time_zone, serverNow());
      const at = mode === "on" ? instantAt(cinema.time_zone, fields, today) : null;
      const body = {
        mode,
        starts_at: at === null ? null : new Date(at).toISOString(),
        ...(mode !== "off" && {
          shoppers: Number(fields.shoppers),
          entry_seconds: Number(fields.entry_seconds),
          shopping_seconds: Number(fields.minutes) * 60,
          places_per_address: Number(fields.places_per_address),
          work_bits: Number(fields.work_bits),
        }),
        ...(mode === "by_load" && { holds_per_second: Number(fields.holds_per_second) }),
      };
      const params = { path: { showtime_id: room.showtime_id } };
      return ask(api.PUT("/api/v1/showtimes/{showtime_id}/queue", { params, body }));
    },
    onSuccess: (now) => queries.setQueryData(key, now),
  });
  return (
    <Form
      submit={(fields) => put.mutate(fields)}
      isBusy={put.isPending}
      error={put.error}
      action={t("me.save")}
      fields={FIELDS}
    >
      <p role="status">
        <span className="status">{t(`queue.${room.status}`)}</span>{" "}
        {room.starts_at &&
          t("queue.from", { when: moment(cinema.time_zone, room.starts_at, language) })}
        {room.status !== "off" && (
          <>
            <br />
            {t("queue.counts", { waiting: room.waiting, shopping: room.shopping })}
          </>
        )}
      </p>
      <div className="field">
        <label htmlFor="queue-mode">{t("queue.title")}</label>
        <select
          id="queue-mode"
          value={mode}
          onChange={(event) => setMode(event.target.value as Mode)}
        >
          {MODES.map((one) => (
            <option key={one} value={one}>
              {t(`queue.mode.${one}`)}
            </option>
          ))}
        </select>
        <small>{t(`queue.text.${mode}`)}</small>
      </div>
      {mode === "on" && (
        <fieldset>
          <legend>{t("queue.begins")}</legend>
          <div className="pair">
            <Field name="date" type="date" label={t("home.day")} optional />
            <Field name="time" type="time" label={t("table.start")} optional />
          </div>
          <small>{t("queue.beginsText")}</small>
        </fieldset>
      )}
      {mode === "by_load" && (
        <Amount name="holds_per_second" label={t("queue.load")} initial={200} greatest={100_000} />
      )}
      {mode !== "off" && (
        <>
          <div className="pair">
            <Amount
              name="shoppers"
              label={t("queue.shoppers")}
              initial={room.shoppers || 200}
              greatest={10_000}
            />
            <Amount name="minutes" label={t("queue.minutes")} initial={10} greatest={60} />
          </div>
          <details>
            <summary>{t("queue.more")}</summary>
            <Amount
              name="entry_seconds"
              label={t("queue.entry")}
              initial={60}
              least={10}
              greatest={900}
            />
            <Amount
              name="places_per_address"
              label={t("queue.perAddress")}
              initial={100}
              greatest={100_000}
            />
            <Amount
              name="work_bits"
              label={t("queue.work")}
              initial={room.work_bits}
              least={0}
              greatest={24}
            />
          </details>
        </>
      )}
      <button type="button" className="button quiet" onClick={back}>
        {t("app.back")}
      </button>
    </Form>
  );
}

const FIELDS = [
  "shoppers",
  "entry_seconds",
  "shopping_seconds",
  "places_per_address",
  "work_bits",
  "holds_per_second",
] as const;

interface NumberProps {
  name: string;
  label: string;
  initial: number;
  least?: number;
  greatest: number;
}

function Amount({ initial, least = 1, ...rest }: NumberProps) {
  return <Field {...rest} type="number" least={least} initial={String(initial)} />;
}
