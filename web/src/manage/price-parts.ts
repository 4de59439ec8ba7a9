/** Price rules as a form has them. Pure. */
import type { Schemas } from "../api/client";
import { listOf, minorOf } from "../format";
import type { Fields } from "../ui/form";

type Rule = Schemas["PriceRule"];
type RuleFields = Schemas["RuleFields"];
export type Group = Rule["group"];
export type EffectKind = Schemas["Effect"]["kind"];

export const GROUPS: readonly Group[] = ["time", "demand", "type"];
export const KINDS: readonly EffectKind[] = ["percent", "amount", "price"];
export const WEEKDAYS = [1, 2, 3, 4, 5, 6, 7] as const;

/** What cannot be read, by the name of its field. */
export class Unreadable extends Error {
  constructor(readonly field: string) {
    super(field);
  }
}

/** An amount that may be negative, in hundredths of a percent or minor units. */
export function signedOf(text: string, currency: string): number | null {
  const tidy = text.trim().replace("−", "-");
  const amount = minorOf(tidy.replace(/^[+-]/, ""), currency);
  return amount === null ? null : tidy.startsWith("-") ? -amount : amount;
}

const PERIOD = /^(\d{4}-\d{2}-\d{2})(?:\s*(?:-|–|\.\.)\s*(\d{4}-\d{2}-\d{2}))?$/;

/** Days as lines: `2026-12-24`, or `2026-12-24 – 2026-12-26`. */
export function daysOf(text: string): Schemas["Days"][] {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter(Boolean).map((line) => {
    const [, first, last = first] = PERIOD.exec(line) ?? [];
    if (first === undefined || last === undefined) throw new Unreadable("days");
    return { first, last };
  });
}

function chosen(fields: Fields, kind: string): string[] {
  return Object.keys(fields).flatMap((name) =>
    name.startsWith(`${kind} `) ? [name.slice(kind.length + 1)] : [],
  );
}

/** What was entered, as the server takes it. Throws `Unreadable`. */
export function ruleOf(fields: Fields, currency: string): RuleFields {
  const number = (name: string) => (fields[name]?.trim() ? Number(fields[name]) : null);
  const kind = fields.kind as EffectKind;
  // Percent are sent in hundredths, as money in most currencies is.
  const value = signedOf(fields.value ?? "", kind === "percent" ? "EUR" : currency);
  if (value === null || (kind === "price" && value < 0)) throw new Unreadable("value");
  return {
    name: (fields.name ?? "").trim(),
    group: fields.group as Group,
    priority: number("priority") ?? 100,
    effect: { kind, value },
    when: {
      weekdays: chosen(fields, "weekday").map(Number),
      starts_from: fields.starts_from || null,
      starts_until: fields.starts_until || null,
      days: daysOf(fields.days ?? ""),
      hours_before_min: number("hours_before_min"),
      hours_before_max: number("hours_before_max"),
      taken_min: number("taken_min"),
      taken_max: number("taken_max"),
      formats: listOf(fields.formats),
      categories: listOf(fields.categories),
      ticket_types: chosen(fields, "type"),
      movie_ids: chosen(fields, "film"),
    },
  };
}

/** Rules in the order in which they are asked: by group, then by priority. */
export function inOrder(rules: readonly Rule[]): Rule[] {
  return [...rules].sort(
    (one, other) =>
      GROUPS.indexOf(one.group) - GROUPS.indexOf(other.group) || one.priority - other.priority,
  );
}
