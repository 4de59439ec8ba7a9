/** What tickets of a showtime cost now, step by step. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, type Schemas, serverNow } from "../api/client";
import { clock, dayIn, money } from "../format";
import { useWords } from "../i18n";
import { Field, type Fields, Form } from "../ui/form";
import { type Cinema, ticketTypesQuery } from "../ui/queries";
import { CATEGORIES } from "./plan";

export function PricePreview({ cinema }: { cinema: Cinema }) {
  const { t, language } = useWords();
  const [day, setDay] = useState(() => dayIn(cinema.time_zone, serverNow()));
  const types = useQuery(ticketTypesQuery(cinema.id));
  const schedule = useQuery({
    queryKey: ["timetable", cinema.id, day],
    queryFn: () => {
      const params = { path: { cinema_id: cinema.id }, query: { date: day } };
      return ask(api.GET("/api/v1/schedule/cinema/{cinema_id}", { params }));
    },
  });
  const shows = schedule.data?.showtimes ?? [];
  const asked = useMutation({
    mutationFn: ({ showtime = "", quantity, category = "", type = "" }: Fields) => {
      const count = Number(quantity);
      const body = {
        showtime_id: showtime,
        quantity: count,
        category: category.trim() || null,
        ...(type && { tickets: [{ type, quantity: count }] }),
      };
      return ask(api.POST("/api/v1/pricing/calculate", { body }));
    },
  });
  return (
    <section className="panel" aria-labelledby="preview">
      <h2 id="preview">{t("prices.preview")}</h2>
      <Form
        submit={(fields) => asked.mutate(fields)}
        isBusy={asked.isPending || shows.length === 0}
        error={asked.error}
        action={t("prices.calculate")}
      >
        <label className="field">
          <span>{t("home.day")}</span>
          <input
            type="date"
            value={day}
            required
            onChange={(event) => event.target.value && setDay(event.target.value)}
          />
        </label>
        <div className="field">
          <label htmlFor="preview-show">{t("scan.showtime")}</label>
          <select id="preview-show" name="showtime" key={day} required>
            {shows.map((one) => (
              <option key={one.id} value={one.id}>
                {clock(cinema.time_zone, one.starts_at, language)} {one.movie_title},{" "}
                {one.screen_name}
              </option>
            ))}
          </select>
        </div>
        {schedule.data && shows.length === 0 && (
          <p>
            <small>{t("prices.noShows")}</small>
          </p>
        )}
        <div className="pair">
          <Field
            name="quantity"
            type="number"
            label={t("reports.tickets")}
            initial="2"
            least={1}
            greatest={20}
          />
          <div className="field">
            <label htmlFor="preview-type">{t("prices.type")}</label>
            <select id="preview-type" name="type">
              {types.data?.map((one) => (
                <option key={one.code} value={one.code}>
                  {one.name}
                </option>
              ))}
            </select>
          </div>
          <div className="field">
            <label htmlFor="preview-category">{t("prices.category")}</label>
            <select id="preview-category" name="category">
              {CATEGORIES.map((one) => (
                <option key={one} value={one}>
                  {t(`seats.${one}`)}
                </option>
              ))}
            </select>
          </div>
        </div>
      </Form>
      {asked.data && <Explained quote={asked.data} />}
    </section>
  );
}

function Explained({ quote }: { quote: Schemas["Quote"] }) {
  const { t, language } = useWords();
  const [seat] = quote.seats;
  return (
    <div className="explained" role="status">
      {seat && (
        <>
          <h3>{t("prices.oneSeat")}</h3>
          <dl className="sum">
            {seat.steps.map((step) => (
              <div key={`${step.code} ${step.text} ${step.after.amount}`}>
                <dt>{step.text}</dt>
                <dd>{money(step.after, language)}</dd>
              </div>
            ))}
          </dl>
        </>
      )}
      <dl className="sum">
        <div>
          <dt>{t("prices.seatsOf", { n: quote.seats.length })}</dt>
          <dd>
            {money(
              {
                amount: quote.seats.reduce((all, one) => all + one.price.amount, 0),
                currency: quote.total.currency,
              },
              language,
            )}
          </dd>
        </div>
        {quote.fees.map((fee) => (
          <div key={fee.code}>
            <dt>{fee.name}</dt>
            <dd>{money(fee.amount, language)}</dd>
          </div>
        ))}
        <div className="total">
          <dt>{t("checkout.total")}</dt>
          <dd>{money(quote.total, language)}</dd>
        </div>
      </dl>
      <p>
        <small>{t("prices.taken", { percent: quote.taken_percent })}</small>
      </p>
    </div>
  );
}
