/** Loading, failing and being empty, everywhere in the same way. */
import { Link } from "@tanstack/react-router";
import { type ReactNode, useEffect, useRef } from "react";
import { ApiError } from "../api/client";
import { type Key, useWords } from "../i18n";

export function keyOf(error: Error): Key {
  if (!(error instanceof ApiError)) return "error.other";
  if (error.code === "OFFLINE") return "error.offline";
  if (error.status === 429) return "error.rate";
  return error.status === 503 ? "error.busy" : "error.other";
}

export function Failure({ error, again }: { error: Error; again?: () => void }) {
  const { t } = useWords();
  if (error instanceof ApiError && error.status === 404) return <NotFound />;
  return (
    <Empty title={t("error.title")} text={t(keyOf(error))}>
      {again && (
        <button type="button" className="button" onClick={again}>
          {t("app.retry")}
        </button>
      )}
    </Empty>
  );
}

export function NotFound() {
  const { t } = useWords();
  return (
    <Empty title={t("error.notFound")} text={t("error.notFoundText")}>
      <Link to="/" className="button">
        {t("error.toFilms")}
      </Link>
    </Empty>
  );
}

interface EmptyProps {
  title: string;
  text: string;
  children?: ReactNode;
}

export function Empty({ title, text, children }: EmptyProps) {
  return (
    <section className="empty">
      <svg viewBox="0 0 120 60" aria-hidden="true" className="empty-art">
        <path d="M10 12 Q60 -4 110 12" />
        {[0, 1, 2, 3, 4].map((n) => (
          <rect key={n} x={18 + n * 18} y={34} width={12} height={14} rx={3} />
        ))}
      </svg>
      <h1>{title}</h1>
      <p>{text}</p>
      {children}
    </section>
  );
}

export function Skeleton({ className }: { className: string }) {
  const { t } = useWords();
  return <div className={`skeleton ${className}`} role="status" aria-label={t("app.loading")} />;
}

/** The title of the window. */
export function useTitle(title: string | undefined): void {
  useEffect(() => {
    document.title = title === undefined ? "cinema" : `${title} · cinema`;
  }, [title]);
}

/** A row of links that is wider than the screen shows the one of the page that one is at. */
export function showCurrent(row: HTMLElement | null): void {
  const current = row?.querySelector("[aria-current]");
  if (!row || !current) return;
  const from = row.getBoundingClientRect();
  const place = current.getBoundingClientRect();
  row.scrollLeft += place.left - from.left - (from.width - place.width) / 2;
}

interface DialogProps {
  title: string;
  close: () => void;
  children: ReactNode;
}

/** A question above the page; the browser keeps the focus in it, and Escape closes it. */
export function Dialog({ title, close, children }: DialogProps) {
  const shown = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    shown.current?.showModal();
  }, []);
  return (
    <dialog ref={shown} onClose={close} aria-labelledby="dialog-title">
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}
