/** A rating as stars; who does not see them hears the number. */
import { useWords } from "../i18n";

const MOST = 5;

export function Stars({ rating }: { rating: number }) {
  const { t, language } = useWords();
  const full = Math.round(rating);
  const n = new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(rating);
  return (
    <span className="stars" role="img" aria-label={t("reviews.of", { n })}>
      {"★".repeat(full) + "☆".repeat(MOST - full)}
    </span>
  );
}
