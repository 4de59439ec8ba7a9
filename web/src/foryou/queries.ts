/** What is recommended to whoever asks, and why, in words. */
import { queryOptions } from "@tanstack/react-query";
import { api, ask, type Schemas } from "../api/client";
import type { Key, Words } from "../i18n";

export type Recommendation = Schemas["Recommendation"];
export type FeedbackKind = Schemas["FeedbackInput"]["kind"];

const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/** A Monday. */
const SOME_WEEK = Date.UTC(2024, 0, 1);
const DAY_MS = 86_400_000;

/** Each answer is one that the server remembers, so none is asked for that nobody looks at. */
export function recommendationsQuery(of: string | null, limit: number) {
  return queryOptions({
    queryKey: ["recommendations", of, limit],
    queryFn: () => ask(api.GET("/api/v1/recommendations", { params: { query: { limit } } })),
    staleTime: 5 * 60_000,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
}

export const preferencesQuery = queryOptions({
  queryKey: ["preferences"],
  queryFn: () => ask(api.GET("/api/v1/me/preferences")),
  staleTime: 60_000,
});

export function reasonText(reason: Recommendation["reason"], { t, language }: Words): string {
  const values: Record<string, string> = { ...reason.args };
  const weekday = WEEKDAYS.indexOf(values.weekday ?? "");
  if (weekday >= 0) {
    const day = new Intl.DateTimeFormat(language, { weekday: "long", timeZone: "UTC" });
    values.weekday = day.format(SOME_WEEK + weekday * DAY_MS);
  }
  return t(`forYou.${reason.code}` as Key, values);
}
