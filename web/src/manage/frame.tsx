/** What stands around the pages of a manager that are about one cinema. */
import { useQuery } from "@tanstack/react-query";
import { Fragment, type ReactNode } from "react";
import { ApiError } from "../api/client";
import { useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { useWorkplace, WorkplaceField } from "../staff/place";
import { type Cinema, cinemasQuery } from "../ui/queries";
import { Empty, Failure, Skeleton, useTitle } from "../ui/state";
import "../styles/manage.css";

export const MANAGERS = ["manager", "admin"] as const;

interface HousePageProps {
  title: string;
  /** What stands beside the page, under the choice of the cinema. */
  side?: (cinema: Cinema) => ReactNode;
  children: (cinema: Cinema) => ReactNode;
}

/** Title, choice of the cinema, and what is there of it; both parts begin anew with another cinema. */
export function HousePage(props: HousePageProps) {
  useTitle(props.title);
  return (
    <StaffOnly roles={MANAGERS}>
      <House {...props} />
    </StaffOnly>
  );
}

function House({ title, side, children }: HousePageProps) {
  const { t } = useWords();
  const cinemas = useQuery(cinemasQuery);
  const place = useWorkplace();
  const { cinema } = place;
  return (
    <>
      <header className="page-head">
        <h1>{title}</h1>
      </header>
      {cinemas.isError ? (
        <Failure error={cinemas.error} again={() => cinemas.refetch()} />
      ) : cinemas.data === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : cinema === undefined ? (
        <Empty title={t("cinemas.none")} text={t("house.noneText")} />
      ) : (
        <div className="office">
          <div className="office-main" key={cinema.id}>
            {children(cinema)}
          </div>
          <div className="office-side">
            <WorkplaceField {...place} />
            <Fragment key={cinema.id}>{side?.(cinema)}</Fragment>
          </div>
        </div>
      )}
    </>
  );
}

interface AnswerProps<T> {
  of: { data: T | undefined; error: Error | null; refetch: () => unknown };
  /** The room that it takes while nothing is there. */
  skeleton?: string;
  children: (data: T) => ReactNode;
}

/** What the server has said about a cinema, or why it has not. */
export function Answer<T>({ of, skeleton = "list-skeleton", children }: AnswerProps<T>) {
  const { t } = useWords();
  const { data, error, refetch } = of;
  if (error instanceof ApiError && error.status === 403)
    return <p className="warning">{t("scan.forbidden")}</p>;
  if (error) return <Failure error={error} again={refetch} />;
  return data === undefined ? <Skeleton className={skeleton} /> : children(data);
}
