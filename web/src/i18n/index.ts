/** The texts of the pages in two languages; German is fetched only when somebody wants it. */
import { useSyncExternalStore } from "react";
import { en } from "./en";

export type Key = keyof typeof en;
export type Texts = Record<Key, string>;
export type Language = "en" | "de";

const STORED = "cinema.language";
const listeners = new Set<() => void>();
let current: { language: Language; texts: Texts } = { language: "en", texts: en };

export function preferred(): Language {
  const stored = localStorage.getItem(STORED) ?? navigator.language;
  return stored.startsWith("de") ? "de" : "en";
}

export async function setLanguage(language: Language): Promise<void> {
  const texts = language === "de" ? (await import("./de")).de : en;
  current = { language, texts };
  document.documentElement.lang = language;
  localStorage.setItem(STORED, language);
  for (const listener of listeners) listener();
}

export type Values = Record<string, string | number>;

export function fill(text: string, values: Values = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export interface Words {
  language: Language;
  t: (key: Key, values?: Values) => string;
  /** The form for a number; `key` has the variants `_one` and `_other`. */
  many: (key: "home.found" | "seats.chosen", n: number) => string;
}

export function useWords(): Words {
  const { language, texts } = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
  return {
    language,
    t: (key, values) => fill(texts[key], values),
    many: (key, n) => fill(texts[`${key}_${n === 1 ? "one" : "other"}` as Key], { n }),
  };
}
