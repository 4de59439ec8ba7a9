/** Seats of a showtime that are kept for channels of sale, each until they go to all. */
import { useMutation } from "@tanstack/react-query";
import { api, ask, type Schemas } from "../api/client";
import { dayIn } from "../format";
import { useWords } from "../i18n";
import { Field, type Fields, Form, Newest } from "../ui/form";
import type { Cinema, Showtime } from "../ui/queries";
import { instantAt, timeIn } from "./timetable-parts";

const CHANNELS = ["web", "app", "box_office"] as const;
const SEATS_MOST = 50_000;

interface ChannelsProps {
  showtime: Showtime;
  cinema: Cinema;
  done: () => Promise<void>;
  again: () => Promise<unknown>;
  back: () => void;
}

export function Channels({ showtime, cinema, done, again, back }: ChannelsProps) {
  const { t } = useWords();
  const rules: Schemas["ShowtimeRules"] = showtime.rules ?? {};
  const quotas = new Map(rules.channels?.map((one) => [one.channel, one]));
  const changed = useMutation({
    mutationFn: (fields: Fields) => {
      const channels = CHANNELS.flatMap((channel) => {
        const seats = Number(fields[`${channel}_seats`] || 0);
        const date = fields[`${channel}_date`];
        const time = fields[`${channel}_time`];
        if (seats === 0) return [];
        const day = dayIn(cinema.time_zone, showtime.starts_at);
        const until = instantAt(cinema.time_zone, { date, time }, day);
        return [
          {
            channel,
            seats,
            ...(until !== null && { released_at: new Date(until).toISOString() }),
          },
        ];
      });
      const { movie_id, screen_id, starts_at, base_price, format, language } = showtime;
      const { price_overrides, sales } = showtime;
      const body = {
        movie_id,
        screen_id,
        starts_at,
        base_price,
        format,
        language,
        price_overrides,
        rules: { ...rules, channels },
        sales: { opens_at: sales.opens_at, closes_at: sales.closes_at },
      };
      const params = {
        path: { showtime_id: showtime.id },
        header: { "If-Match": `"${showtime.version ?? 1}"` },
      };
      return ask(api.PUT("/api/v1/showtimes/{showtime_id}", { params, body }));
    },
    onSuccess: done,
  });
  return (
    <Form
      key={showtime.version}
      submit={(fields) => changed.mutate(fields)}
      isBusy={changed.isPending}
      error={changed.error}
      action={t("me.save")}
    >
      <p>{t("channels.text")}</p>
      {CHANNELS.map((channel) => {
        const quota = quotas.get(channel);
        const until = quota?.released_at;
        return (
          <fieldset key={channel}>
            <legend>{t(`channels.${channel}`)}</legend>
            <Field
              name={`${channel}_seats`}
              type="number"
              label={t("channels.seats")}
              least={0}
              greatest={SEATS_MOST}
              initial={String(quota?.seats ?? 0)}
            />
            <div className="pair">
              <Field
                name={`${channel}_date`}
                type="date"
                label={t("channels.day")}
                initial={until ? dayIn(cinema.time_zone, until) : undefined}
                optional
              />
              <Field
                name={`${channel}_time`}
                type="time"
                label={t("channels.time")}
                initial={until ? timeIn(cinema.time_zone, Date.parse(until)) : undefined}
                optional
              />
            </div>
          </fieldset>
        );
      })}
      <Newest
        error={changed.error}
        again={async () => {
          await again();
          changed.reset();
        }}
      />
      <button type="button" className="button quiet" onClick={back}>
        {t("app.back")}
      </button>
    </Form>
  );
}
