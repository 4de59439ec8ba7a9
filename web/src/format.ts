/** Money and times as people write them. */
import type { Schemas } from "./api/client";

export type Money = Schemas["Money"];

const digits = new Map<string, number>();

function digitsOf(currency: string): number {
  let known = digits.get(currency);
  if (known === undefined) {
    known =
      new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions()
        .maximumFractionDigits ?? 2;
    digits.set(currency, known);
  }
  return known;
}

export function money({ amount, currency }: Money, language: string): string {
  const value = amount / 10 ** digitsOf(currency);
  return new Intl.NumberFormat(language, { style: "currency", currency }).format(value);
}

export function sum(prices: Money[]): Money | null {
  const [first] = prices;
  if (first === undefined) return null;
  return {
    amount: prices.reduce((total, price) => total + price.amount, 0),
    currency: first.currency,
  };
}

/** The day in a zone, as `2026-06-01`. */
export function dayIn(zone: string, at: string | number): string {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  });
  return parts.format(new Date(at));
}

export function clock(zone: string, at: string, language: string): string {
  return new Intl.DateTimeFormat(language, {
    timeZone: zone,
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(new Date(at));
}

export function dayName(day: string, language: string): string {
  return new Intl.DateTimeFormat(language, {
    timeZone: "UTC",
    weekday: "short",
    day: "numeric",
    month: "short",
  }).format(new Date(`${day}T12:00:00Z`));
}

export function moment(zone: string, at: string, language: string): string {
  return new Intl.DateTimeFormat(language, {
    timeZone: zone,
    weekday: "long",
    day: "numeric",
    month: "long",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).format(new Date(at));
}

export function dateOf(at: string, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(new Date(at));
}

/** Whole seconds until then, never below 0. */
export function secondsUntil(at: string, nowMs: number): number {
  return Math.max(0, Math.ceil((Date.parse(at) - nowMs) / 1000));
}

export function minutesAndSeconds(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export function runtime(minutes: number): string {
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** An amount as somebody types it (`12`, `12.50`, `12,50`), in minor units; null if it is none. */
export function minorOf(text: string, currency: string): number | null {
  const tidy = text.trim().replace(",", ".");
  if (!/^\d{1,7}(\.\d*)?$/.test(tidy)) return null;
  const [whole = "", part = ""] = tidy.split(".");
  const places = digitsOf(currency);
  if (part.length > places) return null;
  return Number(whole + part.padEnd(places, "0"));
}

/** What stands between commas, each once. */
export function listOf(text: string | undefined): string[] {
  const parts = (text ?? "").split(",").map((one) => one.trim());
  return [...new Set(parts.filter(Boolean))];
}
