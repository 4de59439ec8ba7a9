/** The addresses of the pages. What a newcomer sees first comes at once, the rest when it is wanted. */
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { ACCOUNT_PARTS, type AccountPart } from "./account/parts";
import { MESSAGE_STATUSES, REVIEW_STATUSES } from "./admin/parts";
import { loadAnew, receiveGuest } from "./api/session";
import type { When } from "./bookings/queries";
import { FilmPage } from "./films/film";
import { HomePage } from "./films/home";
import { dayOf, reportWish } from "./manage/parts";
import type { SeriesWish } from "./series/page";
import { queries } from "./ui/answers";
import { type FilmFilters, siteQuery } from "./ui/queries";
import { Shell } from "./ui/shell";
import { Failure, NotFound } from "./ui/state";

/** The address that the browser has asked the server for. */
const LOADED = location.pathname;
receiveGuest();

type Asked = Record<string, unknown>;

/** Addresses are typed by people too: what is no text is left out. */
function text(value: unknown): string | undefined {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  component: HomePage,
  validateSearch: (asked: Asked): FilmFilters => ({
    q: text(asked.q),
    genre: text(asked.genre),
    cinema: text(asked.cinema),
    date: text(asked.date),
  }),
});

const film = createRoute({
  getParentRoute: () => root,
  path: "/films/$filmId",
  component: FilmPage,
  validateSearch: (asked: Asked): { day?: string } => ({ day: text(asked.day) }),
});

const forYou = createRoute({
  getParentRoute: () => root,
  path: "/for-you",
  component: lazyRouteComponent(() => import("./foryou/page"), "ForYouPage"),
});

const films = createRoute({
  getParentRoute: () => root,
  path: "/films",
  beforeLoad: () => {
    throw redirect({ to: "/" });
  },
});

const seats = createRoute({
  getParentRoute: () => root,
  path: "/showtimes/$showtimeId",
  component: lazyRouteComponent(() => import("./seats/page"), "SeatsPage"),
  validateSearch: (asked: Asked): { exchange?: string } => ({ exchange: text(asked.exchange) }),
});

const checkout = createRoute({
  getParentRoute: () => root,
  path: "/showtimes/$showtimeId/checkout",
  component: lazyRouteComponent(() => import("./checkout/page"), "CheckoutPage"),
  validateSearch: (asked: Asked): { payment_intent_client_secret?: string } => ({
    payment_intent_client_secret: text(asked.payment_intent_client_secret),
  }),
  beforeLoad: async ({ location: wanted }) => {
    // Stripe's script needs a policy that only this address is sent with.
    if (LOADED === wanted.pathname) return;
    const site = await queries.ensureQueryData(siteQuery).catch(() => undefined);
    if (!site?.stripe_key) return;
    loadAnew(wanted.href);
    await new Promise(() => undefined);
  },
});

const bookings = createRoute({
  getParentRoute: () => root,
  path: "/bookings",
  component: lazyRouteComponent(() => import("./bookings/list"), "BookingsPage"),
  validateSearch: (asked: Asked): { when?: When } => ({
    when: asked.when === "past" ? "past" : asked.when === "upcoming" ? "upcoming" : undefined,
  }),
});

const seriesList = createRoute({
  getParentRoute: () => root,
  path: "/bookings/series",
  component: lazyRouteComponent(() => import("./series/list"), "SeriesListPage"),
});

const series = createRoute({
  getParentRoute: () => root,
  path: "/series",
  component: lazyRouteComponent(() => import("./series/page"), "SeriesPage"),
  validateSearch: (asked: Asked): SeriesWish => ({
    cinema: text(asked.cinema),
    screen: text(asked.screen),
    film: text(asked.film),
    shows: text(asked.shows),
    seats: text(asked.seats),
  }),
});

const bookedSeries = createRoute({
  getParentRoute: () => root,
  path: "/series/$seriesId",
  component: lazyRouteComponent(() => import("./series/booked"), "BookedSeriesPage"),
  validateSearch: (asked: Asked): { new?: true } => (asked.new === true ? { new: true } : {}),
});

const booking = createRoute({
  getParentRoute: () => root,
  path: "/bookings/$bookingId",
  component: lazyRouteComponent(() => import("./bookings/booking"), "BookingPage"),
  validateSearch: (asked: Asked): { new?: true } => (asked.new === true ? { new: true } : {}),
});

const exchange = createRoute({
  getParentRoute: () => root,
  path: "/bookings/$bookingId/exchange",
  component: lazyRouteComponent(() => import("./bookings/exchange"), "ExchangePage"),
  validateSearch: (asked: Asked): { showtime?: string } => ({ showtime: text(asked.showtime) }),
});

const next = (asked: Asked): { next?: string } => ({ next: text(asked.next) });

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  component: lazyRouteComponent(() => import("./account/pages"), "SignInPage"),
  validateSearch: next,
});

const signUp = createRoute({
  getParentRoute: () => root,
  path: "/sign-up",
  component: lazyRouteComponent(() => import("./account/pages"), "SignUpPage"),
  validateSearch: next,
});

const forgot = createRoute({
  getParentRoute: () => root,
  path: "/forgot-password",
  component: lazyRouteComponent(() => import("./account/pages"), "ForgotPage"),
});

const reset = createRoute({
  getParentRoute: () => root,
  path: "/reset-password",
  component: lazyRouteComponent(() => import("./account/pages"), "ResetPage"),
});

const invitation = createRoute({
  getParentRoute: () => root,
  path: "/accept-invitation",
  component: lazyRouteComponent(() => import("./account/pages"), "InvitationPage"),
});

const order = createRoute({
  getParentRoute: () => root,
  path: "/orders/$bookingId",
  component: lazyRouteComponent(() => import("./bookings/order"), "OrderPage"),
});

const exported = createRoute({
  getParentRoute: () => root,
  path: "/exports/$exportId",
  component: lazyRouteComponent(() => import("./account/export"), "ExportPage"),
});

const account = createRoute({
  getParentRoute: () => root,
  path: "/account",
  component: lazyRouteComponent(() => import("./account/account"), "AccountPage"),
  validateSearch: (asked: Asked): { part?: AccountPart } => ({
    part: ACCOUNT_PARTS.find((one) => one === asked.part),
  }),
});

const promos = createRoute({
  getParentRoute: () => root,
  path: "/manage/promo-codes",
  component: lazyRouteComponent(() => import("./manage/promos"), "PromosPage"),
});

const reports = createRoute({
  getParentRoute: () => root,
  path: "/manage/reports",
  component: lazyRouteComponent(() => import("./manage/reports"), "ReportsPage"),
  validateSearch: reportWish,
});

const screens = createRoute({
  getParentRoute: () => root,
  path: "/manage/screens",
  component: lazyRouteComponent(() => import("./manage/screens"), "ScreensPage"),
});

const screen = createRoute({
  getParentRoute: () => root,
  path: "/manage/screens/$screenId",
  component: lazyRouteComponent(() => import("./manage/screen"), "ScreenPage"),
});

const timetable = createRoute({
  getParentRoute: () => root,
  path: "/manage/timetable",
  component: lazyRouteComponent(() => import("./manage/timetable"), "TimetablePage"),
  validateSearch: (asked: Asked): { day?: string } => ({ day: dayOf(asked.day) }),
});

const prices = createRoute({
  getParentRoute: () => root,
  path: "/manage/prices",
  component: lazyRouteComponent(() => import("./manage/prices"), "PricesPage"),
});

const cashDays = createRoute({
  getParentRoute: () => root,
  path: "/manage/cash-days",
  component: lazyRouteComponent(() => import("./manage/cash-days"), "CashDaysPage"),
});

const cashDay = createRoute({
  getParentRoute: () => root,
  path: "/manage/cash-days/$cinemaId/$day",
  component: lazyRouteComponent(() => import("./manage/cash-day"), "CashDayPage"),
});

const adminCinemas = createRoute({
  getParentRoute: () => root,
  path: "/admin/cinemas",
  component: lazyRouteComponent(() => import("./admin/cinemas"), "CinemasPage"),
});

const adminFilms = createRoute({
  getParentRoute: () => root,
  path: "/admin/films",
  component: lazyRouteComponent(() => import("./admin/films"), "FilmsPage"),
  validateSearch: (asked: Asked): { q?: string } => ({ q: text(asked.q) }),
});

const adminFilm = createRoute({
  getParentRoute: () => root,
  path: "/admin/films/$filmId",
  component: lazyRouteComponent(() => import("./admin/film"), "FilmEditorPage"),
});

const users = createRoute({
  getParentRoute: () => root,
  path: "/admin/users",
  component: lazyRouteComponent(() => import("./admin/users"), "UsersPage"),
});

const live = createRoute({
  getParentRoute: () => root,
  path: "/admin/live",
  component: lazyRouteComponent(() => import("./admin/live"), "LivePage"),
});

const audit = createRoute({
  getParentRoute: () => root,
  path: "/admin/audit",
  component: lazyRouteComponent(() => import("./admin/audit"), "AuditPage"),
  validateSearch: (asked: Asked): { action?: string } => ({ action: text(asked.action) }),
});

const webhooks = createRoute({
  getParentRoute: () => root,
  path: "/admin/webhooks",
  component: lazyRouteComponent(() => import("./admin/webhooks"), "WebhooksPage"),
});

const messages = createRoute({
  getParentRoute: () => root,
  path: "/admin/messages",
  component: lazyRouteComponent(() => import("./admin/messages"), "MessagesPage"),
  validateSearch: (asked: Asked): { status?: (typeof MESSAGE_STATUSES)[number] } => ({
    status: MESSAGE_STATUSES.find((one) => one === asked.status),
  }),
});

const moderation = createRoute({
  getParentRoute: () => root,
  path: "/admin/reviews",
  component: lazyRouteComponent(() => import("./admin/reviews"), "ReviewsPage"),
  validateSearch: (asked: Asked): { status?: (typeof REVIEW_STATUSES)[number] } => ({
    status: REVIEW_STATUSES.find((one) => one === asked.status),
  }),
});

const scan = createRoute({
  getParentRoute: () => root,
  path: "/staff/scan",
  component: lazyRouteComponent(() => import("./scan/page"), "ScanPage"),
  beforeLoad: async ({ location: wanted }) => {
    // Reading codes needs a policy that only this address is sent with.
    if (LOADED === wanted.pathname) return;
    location.assign(wanted.href);
    await new Promise(() => undefined);
  },
});

const sales = createRoute({
  getParentRoute: () => root,
  path: "/staff/sales",
  component: lazyRouteComponent(() => import("./staff/sales"), "SalesPage"),
});

const findBooking = createRoute({
  getParentRoute: () => root,
  path: "/staff/bookings",
  component: lazyRouteComponent(() => import("./staff/search"), "FindBookingPage"),
});

const foundBooking = createRoute({
  getParentRoute: () => root,
  path: "/staff/bookings/$bookingId",
  component: lazyRouteComponent(() => import("./staff/booking"), "FoundBookingPage"),
});

const verify = createRoute({
  getParentRoute: () => root,
  path: "/verify-email",
  component: lazyRouteComponent(() => import("./account/pages"), "VerifyPage"),
});

const mailsOff = createRoute({
  getParentRoute: () => root,
  path: "/messages/off",
  component: lazyRouteComponent(() => import("./account/mails"), "MailsOffPage"),
});

const tree = root.addChildren([
  home,
  forYou,
  films,
  film,
  seats,
  checkout,
  bookings,
  seriesList,
  series,
  bookedSeries,
  booking,
  exchange,
  signIn,
  signUp,
  forgot,
  reset,
  verify,
  mailsOff,
  invitation,
  order,
  exported,
  account,
  sales,
  scan,
  findBooking,
  foundBooking,
  promos,
  reports,
  timetable,
  prices,
  cashDays,
  cashDay,
  screens,
  screen,
  adminFilms,
  adminFilm,
  adminCinemas,
  users,
  moderation,
  live,
  messages,
  webhooks,
  audit,
]);

export const router = createRouter({
  routeTree: tree,
  scrollRestoration: true,
  defaultErrorComponent: ({ error, reset: again }) => (
    <Failure error={error instanceof Error ? error : new Error(String(error))} again={again} />
  ),
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
