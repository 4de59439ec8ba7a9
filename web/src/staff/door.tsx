/** Lets nobody but staff see what is behind it; the server refuses all others too. */
import { Link, useRouterState } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type User, useSession } from "../api/session";
import { useWords } from "../i18n";
import { Empty, Skeleton } from "../ui/state";
import "../styles/staff.css";

interface StaffOnlyProps {
  /** Who may see it; all who work in a cinema, if nobody is named. */
  roles?: readonly User["role"][];
  /** Also while nobody can be asked who it is. */
  evenUnknown?: boolean;
  children: ReactNode;
}

const ALL: readonly User["role"][] = ["staff", "manager", "admin"];

export function StaffOnly({ roles = ALL, evenUnknown = false, children }: StaffOnlyProps) {
  const { t } = useWords();
  const session = useSession();
  const next = useRouterState({ select: (state) => state.location.href });
  if (session.kind === "unknown" && evenUnknown) return children;
  if (session.kind === "unknown") return <Skeleton className="list-skeleton" />;
  if (session.kind === "user" && roles.includes(session.user.role)) return children;
  return (
    <Empty title={t("staff.only")} text={t("staff.onlyText")}>
      <Link to="/sign-in" search={{ next }} className="button">
        {t("app.signIn")}
      </Link>
    </Empty>
  );
}
