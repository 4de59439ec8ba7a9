/** The account of whoever is signed in, in parts; each is an address. */
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { type User, useSession } from "../api/session";
import { useWords } from "../i18n";
import { Empty, Skeleton, showCurrent, useTitle } from "../ui/state";
import "../styles/account.css";
import { MessagesPart } from "./messages";
import { ACCOUNT_PARTS, type AccountPart } from "./parts";
import { PointsPart } from "./points";
import { PrivacyPart } from "./privacy";
import { ProfilePart } from "./profile";
import { SecurityPart } from "./security";

const route = getRouteApi("/account");

const PARTS: Record<AccountPart, (props: { user: User }) => ReactNode> = {
  profile: ProfilePart,
  security: SecurityPart,
  messages: MessagesPart,
  points: PointsPart,
  privacy: PrivacyPart,
};

export function AccountPage() {
  const { t } = useWords();
  const session = useSession();
  const { part = "profile" } = route.useSearch();
  useTitle(t("app.account"));
  if (session.kind === "unknown") return <Skeleton className="list-skeleton" />;
  if (session.kind !== "user") {
    return (
      <Empty title={t("app.account")} text={t("me.signIn")}>
        <Link to="/sign-in" search={{ next: "/account" }} className="button">
          {t("app.signIn")}
        </Link>
      </Empty>
    );
  }
  const Part = PARTS[part];
  return (
    <>
      <header className="page-head">
        <h1>{t("app.account")}</h1>
        <p>{session.user.email}</p>
      </header>
      <nav ref={showCurrent} className="days" aria-label={t("app.account")}>
        {ACCOUNT_PARTS.map((one) => (
          <Link
            key={one}
            to="/account"
            search={{ part: one }}
            replace
            className="chip"
            aria-current={one === part ? "page" : undefined}
          >
            {t(`me.${one}`)}
          </Link>
        ))}
      </nav>
      <div className="account-part">
        <Part user={session.user} />
      </div>
    </>
  );
}
