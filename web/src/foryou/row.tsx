/** The first films for whoever is signed in, above all that is on. */
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Poster } from "../films/poster";
import { useWords } from "../i18n";
import { note, useSeen } from "./events";
import { type Recommendation, reasonText, recommendationsQuery } from "./queries";
import "../styles/foryou.css";

const SHOWN = 5;

export function ForYouRow({ userId }: { userId: string }) {
  const { t } = useWords();
  const films = useQuery(recommendationsQuery(userId, SHOWN));
  // Nobody misses what is only a hint.
  if (films.data === undefined || films.data.length === 0) return null;
  return (
    <section className="for-you-row" aria-labelledby="for-you">
      <header>
        <h2 id="for-you">{t("forYou.title")}</h2>
        <Link to="/for-you" className="link">
          {t("forYou.all")}
        </Link>
      </header>
      <ul>
        {films.data.map((one) => (
          <Card key={one.movie.id} one={one} />
        ))}
      </ul>
    </section>
  );
}

function Card({ one }: { one: Recommendation }) {
  const words = useWords();
  const { movie, exposure_id } = one;
  const place = useSeen(movie.id, exposure_id);
  return (
    <li ref={place}>
      <Link
        to="/films/$filmId"
        params={{ filmId: movie.id }}
        className="film-card"
        onClick={() => exposure_id && note({ kind: "click", movie_id: movie.id, exposure_id })}
      >
        <Poster film={movie} />
        <h3>{movie.title}</h3>
        <p>{reasonText(one.reason, words)}</p>
      </Link>
    </li>
  );
}
