import { useWords } from "../i18n";
import type { Movie } from "../ui/queries";

/** A poster in its place: the space is kept, and a film without one shows its title. */
export function Poster({ film, eager = false }: { film: Movie; eager?: boolean }) {
  const { t } = useWords();
  const url = film.poster_url;
  return (
    <div className="poster">
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
