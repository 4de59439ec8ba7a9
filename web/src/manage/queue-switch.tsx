/** The waiting room of a showtime: its settings as they are, changed by who has seen them; how many wait meanwhile. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, type Schemas, serverNow } from "../api/client";
import { dayIn, moment } from "../format";
import { useWords } from "../i18n";
import { Field, type Fields, Form, Newest, Refusal, STEADY } from "../ui/form";
import type { Cinema } from "../ui/queries";
import { Skeleton } from "../ui/state";
import { instantAt, timeIn } from "./timetable-parts";

type Room = Schemas["WaitingRoom"];
type Settings = Schemas["RoomSettings"];

const EVERY_MS = 2000;
const MODES = ["off", "on", "by_load"] as const;
type Mode = (typeof MODES)[number];

interface QueueProps {
  showtimeId: string;
  cinema: Cinema;
  back: () => void;
}

export function QueueSwitch({ showtimeId, cinema, back }: QueueProps) {
  const [isSaved, setSaved] = useState(false);
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
  const settings = useQuery({
    queryKey: ["room-settings", showtimeId],
    queryFn: () => {
      const params = { path: { showtime_id: showtimeId } };
      return ask(api.GET("/api/v1/showtimes/{showtime_id}/queue/settings", { params }));
    },
    ...STEADY,
    gcTime: 0,
  });
  if (room.data === undefined || settings.data === undefined) {
    const failed = room.error ?? settings.error;
    return failed ? <Refusal error={failed} /> : <Skeleton className="times-skeleton" />;
  }
  return (
    <Switch
      key={settings.data.version}
      room={room.data}
      settings={settings.data}
      cinema={cinema}
      again={settings.refetch}
      isSaved={isSaved}
      saved={setSaved}
      back={back}
    />
  );
}

interface SwitchProps {
  room: Room;
  settings: Settings;
  cinema: Cinema;
  again: () => Promise<unknown>;
  isSaved: boolean;
  saved: (isSaved: boolean) => void;
  back: () => void;
}

function Switch({ room, settings, cinema, again, isSaved, saved, back }: SwitchProps) {
  const { t, language } = useWords();
  const queries = useQueryClient();
  const { showtime_id, version, starts_at: begins } = settings;
  const [mode, setMode] = useState<Mode>(settings.mode);
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
          shopping_seconds: Number(fields.shopping_seconds),
          places_per_address: Number(fields.places_per_address),
          work_bits: Number(fields.work_bits),
        }),
        ...(mode === "by_load" && { holds_per_second: Number(fields.holds_per_second) }),
      };
      const params = { path: { showtime_id }, header: { "If-Match": `"${version}"` } };
      return ask(api.PUT("/api/v1/showtimes/{showtime_id}/queue/settings", { params, body }));
    },
    onMutate: () => saved(false),
    onSuccess: async (now) => {
      saved(true);
      await queries.invalidateQueries({ queryKey: ["waiting-room", showtime_id] });
      queries.setQueryData(["room-settings", showtime_id], now);
    },
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
      {room.movie_id && settings.mode === "off" && <p>{t("queue.ofFilm")}</p>}
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
            <Field
              name="date"
              type="date"
              label={t("home.day")}
              initial={begins ? dayIn(cinema.time_zone, begins) : undefined}
              optional
            />
            <Field
              name="time"
              type="time"
              label={t("table.start")}
              initial={begins ? timeIn(cinema.time_zone, Date.parse(begins)) : undefined}
              optional
            />
          </div>
          <small>{t("queue.beginsText")}</small>
        </fieldset>
      )}
      {mode === "by_load" && (
        <Amount
          name="holds_per_second"
          label={t("queue.load")}
          hint={t("queue.loadText")}
          initial={settings.holds_per_second}
          greatest={100_000}
        />
      )}
      {mode !== "off" && (
        <>
          <Amount
            name="shoppers"
            label={t("queue.shoppers")}
            hint={t("queue.shoppersText")}
            initial={settings.shoppers}
            greatest={10_000}
          />
          <Amount
            name="shopping_seconds"
            label={t("queue.shopping")}
            hint={t("queue.shoppingText")}
            initial={settings.shopping_seconds}
            least={60}
            greatest={3600}
          />
          <Amount
            name="entry_seconds"
            label={t("queue.entry")}
            hint={t("queue.entryText")}
            initial={settings.entry_seconds}
            least={10}
            greatest={900}
          />
          <Amount
            name="places_per_address"
            label={t("queue.perAddress")}
            hint={t("queue.perAddressText")}
            initial={settings.places_per_address}
            greatest={100_000}
          />
          <Amount
            name="work_bits"
            label={t("queue.work")}
            hint={t("queue.workText")}
            initial={settings.work_bits}
            least={0}
            greatest={24}
          />
        </>
      )}
      <Newest
        error={put.error}
        again={async () => {
          await again();
          put.reset();
        }}
      />
      {isSaved && <p aria-live="polite">{t("me.saved")}</p>}
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
  hint: string;
  initial: number;
  least?: number;
  greatest: number;
}

function Amount({ initial, least = 1, ...rest }: NumberProps) {
  return <Field {...rest} type="number" least={least} initial={String(initial)} />;
}
