/** Accounts and their roles: found, invited, promoted, disabled. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, type Schemas, whole } from "../api/client";
import { useSession } from "../api/session";
import { type Key, useWords } from "../i18n";
import { StaffOnly } from "../staff/door";
import { Field, type Fields, Form, Refusal } from "../ui/form";
import { cinemasQuery } from "../ui/queries";
import { Dialog, Failure, Skeleton, useTitle } from "../ui/state";

type Account = Schemas["AdminUser"];
type Role = Account["role"];

const ROLES: Role[] = ["customer", "staff", "manager", "admin"];
const ADMINS: Role[] = ["admin"];

export function UsersPage() {
  const { t } = useWords();
  useTitle(t("users.title"));
  return (
    <StaffOnly roles={ADMINS}>
      <Users />
    </StaffOnly>
  );
}

function Users() {
  const { t } = useWords();
  const [wish, setWish] = useState<{ q?: string; role?: Role }>({});
  const [changed, setChanged] = useState<Account | null>(null);
  const [isInviting, setInviting] = useState(false);
  const users = useInfiniteQuery({
    queryKey: ["users", wish],
    queryFn: ({ pageParam }) => {
      const query = { ...wish, limit: 20, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/admin/users", { params: { query } }));
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
  });
  return (
    <>
      <header className="page-head">
        <h1>{t("users.title")}</h1>
      </header>
      <form
        className="search-row"
        onSubmit={(event) => {
          event.preventDefault();
          const fields = new FormData(event.currentTarget);
          const q = String(fields.get("q")).trim();
          const role = ROLES.find((one) => one === fields.get("role"));
          setWish({ ...(q && { q }), ...(role && { role }) });
        }}
      >
        <label className="field grow">
          <span>{t("users.search")}</span>
          <input type="search" name="q" maxLength={100} />
        </label>
        <label className="field">
          <span>{t("users.role")}</span>
          <select name="role" defaultValue="">
            <option value="">{t("home.any")}</option>
            {ROLES.map((role) => (
              <option key={role} value={role}>
                {t(`account.role.${role}`)}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" className="button">
          {t("users.find")}
        </button>
        <button type="button" className="button quiet" onClick={() => setInviting(true)}>
          {t("users.invite")}
        </button>
      </form>
      {users.isError ? (
        <Failure error={users.error} again={() => users.refetch()} />
      ) : users.data === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : (
        <ul className="rows panel">
          {users.data.pages
            .flatMap((page) => page.data)
            .map((one) => (
              <UserRow key={one.id} user={one} change={() => setChanged(one)} />
            ))}
        </ul>
      )}
      {users.hasNextPage && (
        <button
          type="button"
          className="button quiet"
          disabled={users.isFetchingNextPage}
          onClick={() => users.fetchNextPage()}
        >
          {t("bookings.more")}
        </button>
      )}
      {changed && <Changing user={changed} close={() => setChanged(null)} />}
      {isInviting && <Inviting close={() => setInviting(false)} />}
    </>
  );
}

function UserRow({ user, change }: { user: Account; change: () => void }) {
  const { t } = useWords();
  const session = useSession();
  const name = [user.first_name, user.last_name].filter(Boolean).join(" ");
  const isSelf = session.kind === "user" && session.user.id === user.id;
  return (
    <li className="row">
      <div>
        <strong>{user.email}</strong>
        <span className="status">{t(`account.role.${user.role}`)}</span>
        {user.disabled && <span className="status bad">{t("users.disabled")}</span>}
        <br />
        <small>
          {[name, t(user.email_verified ? "users.verified" : "users.unverified")]
            .filter(Boolean)
            .join(" · ")}
          {user.mfa_on && ` · ${t("factor.title")}`}
        </small>
      </div>
      {!isSelf && (
        <button
          type="button"
          className="button quiet"
          onClick={change}
          aria-label={`${t("users.change")}: ${user.email}`}
        >
          {t("users.change")}
        </button>
      )}
    </li>
  );
}

/** Where somebody works; of no use for customers and admins. */
function Cinemas({ chosen }: { chosen: readonly string[] }) {
  const { t } = useWords();
  const cinemas = useQuery(cinemasQuery);
  return (
    <fieldset className="seat-choice">
      <legend>{t("users.cinemas")}</legend>
      {cinemas.data?.map((one) => (
        <label key={one.id}>
          <input
            type="checkbox"
            name={`cinema ${one.id}`}
            defaultChecked={chosen.includes(one.id)}
          />
          {one.name}
        </label>
      ))}
    </fieldset>
  );
}

function cinemasOf(fields: Fields): string[] {
  return Object.keys(fields).flatMap((name) =>
    name.startsWith("cinema ") ? [name.slice("cinema ".length)] : [],
  );
}

interface RoleFieldProps {
  roles: Role[];
  initial: Role;
}

function RoleField({ roles, initial }: RoleFieldProps) {
  const { t } = useWords();
  return (
    <div className="field">
      <label htmlFor="new-role">{t("users.role")}</label>
      <select id="new-role" name="role" defaultValue={initial}>
        {roles.map((role) => (
          <option key={role} value={role}>
            {t(`account.role.${role}`)}
          </option>
        ))}
      </select>
    </div>
  );
}

function Changing({ user, close }: { user: Account; close: () => void }) {
  const { t } = useWords();
  const queries = useQueryClient();
  const path = { user_id: user.id };
  const onSuccess = async () => {
    await queries.invalidateQueries({ queryKey: ["users"] });
    close();
  };
  const promoted = useMutation({
    mutationFn: (fields: Fields) => {
      const body = { role: fields.role as Role, cinema_ids: cinemasOf(fields) };
      return ask(api.POST("/api/v1/admin/users/{user_id}/promote", { params: { path }, body }));
    },
    onSuccess,
  });
  const switched = useMutation({
    mutationFn: () => {
      const body = { disabled: !user.disabled };
      return ask(api.PATCH("/api/v1/admin/users/{user_id}", { params: { path }, body }));
    },
    onSuccess,
  });
  const freed = useMutation({
    mutationFn: () =>
      ask(api.POST("/api/v1/admin/users/{user_id}/reset-mfa", { params: { path } })),
    onSuccess,
  });
  const isBusy = promoted.isPending || switched.isPending || freed.isPending;
  return (
    <Dialog title={user.email} close={close}>
      <Form
        submit={(fields) => promoted.mutate(fields)}
        isBusy={isBusy}
        error={promoted.error}
        action={t("users.setRole")}
      >
        <RoleField roles={ROLES} initial={user.role} />
        <Cinemas chosen={user.cinema_ids} />
        <p>
          <small>{t("users.signsOut")}</small>
        </p>
      </Form>
      <Mails userId={user.id} />
      <Refusal error={switched.error ?? freed.error} />
      <div className="actions">
        <button type="button" className="button quiet" onClick={close}>
          {t("app.back")}
        </button>
        {user.mfa_on && (
          <button
            type="button"
            className="button danger"
            disabled={isBusy}
            onClick={() => freed.mutate()}
          >
            {t("users.resetFactor")}
          </button>
        )}
        <button
          type="button"
          className="button danger"
          disabled={isBusy}
          onClick={() => switched.mutate()}
        >
          {t(user.disabled ? "users.enable" : "users.disable")}
        </button>
      </div>
    </Dialog>
  );
}

/** Which mails somebody has turned off; only the account itself changes it. */
function Mails({ userId }: { userId: string }) {
  const { t } = useWords();
  const choices = useQuery({
    queryKey: ["users", "message-choices", userId],
    queryFn: () => {
      const params = { path: { user_id: userId } };
      return ask(api.GET("/api/v1/admin/users/{user_id}/message-choices", { params }));
    },
    staleTime: 0,
  });
  if (choices.isError) return <Refusal error={choices.error} />;
  if (choices.data === undefined) return <Skeleton className="quote-skeleton" />;
  const named = (kinds: readonly string[]) =>
    kinds.map((kind) => t(`mails.${kind}` as Key)).join(", ");
  const { off, sms } = choices.data;
  return (
    <section aria-labelledby="mails">
      <h3 id="mails">{t("me.messages")}</h3>
      <p>{off.length === 0 ? t("users.allMails") : t("users.noMails", { kinds: named(off) })}</p>
      {sms.length > 0 && <p>{t("users.byPhone", { kinds: named(sms) })}</p>}
    </section>
  );
}

function Inviting({ close }: { close: () => void }) {
  const { t } = useWords();
  const invited = useMutation({
    mutationFn: (fields: Fields) => {
      const body = {
        email: fields.email ?? "",
        role: fields.role as Exclude<Role, "customer">,
        cinema_ids: cinemasOf(fields),
      };
      return ask(api.POST("/api/v1/admin/invitations", { body }));
    },
  });
  return (
    <Dialog title={t("users.invite")} close={close}>
      {invited.isSuccess ? (
        <>
          <p role="status">{t("users.invited", { email: invited.data.email })}</p>
          <div className="actions">
            <button type="button" className="button" onClick={close}>
              {t("app.back")}
            </button>
          </div>
        </>
      ) : (
        <Form
          submit={(fields) => invited.mutate(fields)}
          isBusy={invited.isPending}
          error={invited.error}
          action={t("account.send")}
        >
          <Field name="email" type="email" label={t("account.email")} autoComplete="off" />
          <RoleField roles={["staff", "manager", "admin"]} initial="staff" />
          <Cinemas chosen={[]} />
          <button type="button" className="button quiet" onClick={close}>
            {t("app.back")}
          </button>
        </Form>
      )}
    </Dialog>
  );
}
