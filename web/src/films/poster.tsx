import { useWords } from "../i18n";
import type { Movie } from "../ui/queries";

const TINTS = 5;

/** Films without a picture do not look alike. */
function tintOf(title: string): number {
  let sum = 0;
  for (const letter of title) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return sum % TINTS;
}

/** A poster in its place: the space is kept, and a film without one shows its title. */
export function Poster({ film, eager = false }: { film: Movie; eager?: boolean }) {
  const { t } = useWords();
  const url = film.poster_url;
  return (
    <div className={url ? "poster" : `poster tint-${tintOf(film.title)}`}>
      {url ? (
        <img
          src={url}
          alt={t("film.poster", { title: film.title })}
          width={342}
          height={513}
          loading={eager ? "eager" : "lazy"}
          decoding="async"
        />
      ) : (
        <span className="poster-title" aria-hidden="true">
          {film.title}
        </span>
      )}
    </div>
  );
}
