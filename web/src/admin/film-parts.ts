/** A film as a form has it. Pure. */
import type { Schemas } from "../api/client";
import { listOf } from "../format";
import type { Fields } from "../ui/form";
import type { Movie } from "../ui/queries";

export const FIELDS = [
  "title",
  "description",
  "genres",
  "runtime_minutes",
  "release_date",
  "age_rating",
  "languages",
  "poster_url",
  "trailer_url",
] as const;

const TAG = "[a-zA-Z]{2,8}(-[a-zA-Z0-9]{1,8}){0,3}";
export const LANGUAGES_PATTERN = `\\s*${TAG}(\\s*,\\s*${TAG})*\\s*`;
export const LINK_PATTERN = "https?://.+";
export const POSTER_PATTERN = "https?://.+|/media/.+";

export function movieOf(fields: Fields): Schemas["MovieInput"] {
  const text = (name: string) => fields[name]?.trim() || null;
  return {
    title: text("title") ?? "",
    description: text("description") ?? "",
    genres: listOf(fields.genres),
    runtime_minutes: Number(fields.runtime_minutes),
    release_date: text("release_date"),
    age_rating: text("age_rating"),
    languages: listOf(fields.languages),
    poster_url: text("poster_url"),
    trailer_url: text("trailer_url"),
  };
}

/** What a form shows of a film. */
export function fieldsOf(film: Movie): Fields {
  return {
    title: film.title,
    description: film.description,
    genres: film.genres.join(", "),
    runtime_minutes: String(film.runtime_minutes),
    release_date: film.release_date ?? "",
    age_rating: film.age_rating ?? "",
    languages: film.languages.join(", "),
    poster_url: film.poster_url ?? "",
    trailer_url: film.trailer_url ?? "",
  };
}
