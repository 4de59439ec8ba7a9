import { expect, test } from "vitest";
import { fieldsOf, LANGUAGES_PATTERN, movieOf } from "./film-parts";

const film = {
  id: "0190",
  title: "Metropolis",
  description: "A city above, a city below.",
  genres: ["Drama", "Science fiction"],
  runtime_minutes: 153,
  release_date: "1927-01-10",
  age_rating: null,
  languages: ["de", "pt-BR"],
  poster_url: "/media/x-780.webp",
  trailer_url: null,
  version: 3,
};

test("a film that nobody changed is sent as it was", () => {
  const { id: _id, version: _version, ...rest } = film;
  expect(movieOf(fieldsOf(film))).toEqual(rest);
});

test("what is left empty is null or nothing, never an empty text", () => {
  const sent = movieOf({ title: " Metropolis ", runtime_minutes: "153", age_rating: "  " });
  expect(sent).toMatchObject({ title: "Metropolis", age_rating: null, genres: [] });
  expect(sent).toMatchObject({ release_date: null, poster_url: null, description: "" });
});

test("languages are tags between commas", () => {
  const whole = new RegExp(`^(?:${LANGUAGES_PATTERN})$`, "v");
  expect(whole.test("en, de,pt-BR")).toBe(true);
  expect(whole.test("english language")).toBe(false);
  expect(whole.test("en; de")).toBe(false);
});
