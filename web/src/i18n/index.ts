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

/** Texts with a form for one and a form for more. */
export type Counted = StemOf<Key>;
type StemOf<Name> = Name extends `${infer Stem}_one` ? Stem : never;

export interface Words {
  language: Language;
  t: (key: Key, values?: Values) => string;
  /** The form for a number; `key` has the variants `_one` and `_other`. */
  many: (key: Counted, n: number, values?: Values) => string;
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
    many: (key, n, values) => fill(texts[`${key}_${n === 1 ? "one" : "other"}`], { ...values, n }),
  };
}
