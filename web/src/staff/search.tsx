/** Bookings of others, found by what their customer can say. Names and addresses stay out of the address. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { api, type Schemas, whole } from "../api/client";
import { moment, money } from "../format";
import { type Key, useWords } from "../i18n";
import { entered, Refusal } from "../ui/form";
import { cinemasQuery } from "../ui/queries";
import { Empty, Skeleton, useTitle } from "../ui/state";
import { StaffOnly } from "./door";

export type Managed = Schemas["ManagedBooking"];

const FIELDS = ["code", "email", "name"] as const;

type Wish = Partial<Record<(typeof FIELDS)[number], string>>;

export function FindBookingPage() {
  const { t } = useWords();
  useTitle(t("find.title"));
  return (
    <StaffOnly>
      <Search />
    </StaffOnly>
  );
}

function Search() {
  const { t } = useWords();
  const [wish, setWish] = useState<Wish>({});
  // The same question asked again is asked anew.
  const [times, setTimes] = useState(0);
  const isAsked = Object.keys(wish).length > 0;
  const found = useInfiniteQuery({
    queryKey: ["found-bookings", wish, times],
    queryFn: ({ pageParam }) => {
      const query = { ...wish, limit: 20, cursor: pageParam ?? undefined };
      return whole(api.GET("/api/v1/admin/bookings", { params: { query } }));
    },
    enabled: isAsked,
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.meta.next_cursor ?? null,
    staleTime: 0,
  });
  const all = found.data?.pages.flatMap((page) => page.data);
  return (
    <>
      <header className="page-head">
        <h1>{t("find.title")}</h1>
        <p>{t("find.text")}</p>
      </header>
      <form
        className="search-row"
        onSubmit={(event) => {
          event.preventDefault();
          const fields = entered(event.currentTarget);
          const filled = FIELDS.flatMap((name) => {
            const value = fields[name]?.trim();
            return value ? [[name, value] as const] : [];
          });
          setWish(Object.fromEntries(filled));
          setTimes((before) => before + 1);
        }}
      >
        {FIELDS.map((name) => (
          <label key={name} className="field grow">
            <span>{t(`find.${name}` as Key)}</span>
            <input
              type="search"
              name={name}
              maxLength={name === "code" ? 32 : 200}
              autoComplete="off"
            />
          </label>
        ))}
        <button type="submit" className="button">
          {t("users.find")}
        </button>
      </form>
      {found.isError ? (
        <Refusal error={found.error} />
      ) : !isAsked ? null : all === undefined ? (
        <Skeleton className="list-skeleton" />
      ) : all.length === 0 ? (
        <Empty title={t("find.none")} text={t("find.noneText")} />
      ) : (
        <ul className="rows panel" aria-label={t("find.found")}>
          {all.map((one) => (
            <Found key={one.booking.id} found={one} />
          ))}
        </ul>
      )}
      {found.hasNextPage && !found.isError && (
        <button
          type="button"
          className="button quiet"
          disabled={found.isFetchingNextPage}
          onClick={() => found.fetchNextPage()}
        >
          {t("bookings.more")}
        </button>
      )}
    </>
  );
}

export function useZone(cinemaId: string | undefined): string {
  const cinemas = useQuery(cinemasQuery);
  return cinemas.data?.find((one) => one.id === cinemaId)?.time_zone ?? "UTC";
}

/** Whose it is, in the words that staff can check with whoever stands before them. */
export function useBuyer(managed: Managed | undefined): string {
  const { t } = useWords();
  if (managed === undefined) return "";
  const { kind, name, email } = managed.customer;
  const who = kind === "guest" ? t("app.guest") : name;
  return [who, email].filter(Boolean).join(" · ") || t("find.erased");
}

function Found({ found }: { found: Managed }) {
  const { t, language } = useWords();
  const { booking, showtime } = found;
  const zone = useZone(showtime.cinema_id);
  const buyer = useBuyer(found);
  return (
    <li className="row">
      <div>
        <Link
          to="/staff/bookings/$bookingId"
          params={{ bookingId: booking.id }}
          className="link"
          aria-label={`${t("booking.title")}: ${booking.code}`}
        >
          <code>{booking.code}</code>
        </Link>
        <span className={`status ${booking.status}`}>{t(`booking.${booking.status}`)}</span>
        <br />
        {showtime.film} · {moment(zone, showtime.starts_at, language)}
        <br />
        <small>
          {showtime.cinema}, {showtime.screen} ·{" "}
          {booking.seats.map((seat) => seat.label).join(", ")} · {money(booking.total, language)}
        </small>
      </div>
      <span>{buyer}</span>
    </li>
  );
}
