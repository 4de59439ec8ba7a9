"""Every operation for every role: 401 without a token, 403 for the wrong role, else let in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest

from cinema.features.tickets.rules import ticket_id
from tests.e2e.api.billing import invoice_of
from tests.e2e.api.card_orders import order
from tests.e2e.api.doors import device
from tests.e2e.api.gift_cards import card
from tests.e2e.api.house import BASE_PRICE, GUEST_EMAIL, UNKNOWN_ID, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

ELSEWHERE = frozenset({"staff elsewhere", "manager elsewhere"})
ANYBODY = frozenset({None, "guest", "ada", "staff", "manager", "admin", *ELSEWHERE})
GUESTS = frozenset({"guest"})
BUYERS = ANYBODY - {None}
SIGNED_IN = BUYERS - GUESTS
MANAGERS = frozenset({"manager", "admin"})
ADMINS = frozenset({"admin"})
PLANNERS = MANAGERS | {"manager elsewhere"}

ENDS_SESSIONS = frozenset({"logout", "logoutEverywhere", "endSession", "endGuest"})

AT_THE_COUNTER = frozenset({"staff", "manager", "admin"})
OF_ANOTHER = {
    "getHold": frozenset[str](),
    "extendHold": frozenset[str](),
    "releaseHold": frozenset[str](),
    "createBooking": frozenset[str](),
    "getBooking": AT_THE_COUNTER,
    "processPayment": AT_THE_COUNTER,
    "getPayment": AT_THE_COUNTER,
    "getInvoiceOfPayment": AT_THE_COUNTER,
    "getInvoice": AT_THE_COUNTER,
    "listDocumentsOfBooking": AT_THE_COUNTER,
    "changeSeats": AT_THE_COUNTER,
    "exchangeBooking": AT_THE_COUNTER,
    "getTicket": AT_THE_COUNTER,
    "getTicketCodeAsSvg": AT_THE_COUNTER,
    "getTicketCodeAsPng": AT_THE_COUNTER,
    "getTicketsAsPdf": AT_THE_COUNTER,
    "getCalendarOfBooking": AT_THE_COUNTER,
    "reissueTicket": AT_THE_COUNTER,
    "putBilling": AT_THE_COUNTER,
    "cancelBooking": AT_THE_COUNTER,
    "endSession": frozenset[str](),
    "getJob": frozenset({"admin"}),
    "getGiftCardOrder": frozenset({"manager", "admin"}),
    "payGiftCardOrder": frozenset[str](),
    "returnGiftCardOrder": frozenset({"manager", "admin"}),
    "changeReview": frozenset[str](),
    "deleteReview": frozenset[str](),
}
"""Operations on what belongs to somebody, and who else may do them; all others get 404."""

UNSEEN = frozenset(
    {
        *("getPromoCode", "changePromoCode", "deletePromoCode", "getDistributorReturn"),
        "revokeScanner",
        *("getGiftCard", "listGiftCardEntries", "disableGiftCard", "replaceGiftCard"),
    }
)
"""Operations of managers on what those of other cinemas do not learn of: they get 404."""

OF_THE_HOUSE = frozenset(
    {
        *("listLedgerOfBooking", "refundPayment", "getScanList", "getAttendance"),
        *("blockTicket", "unblockTicket", "unscanTicket"),
        *("takeDeposit", "getDeposit"),
        *("getManagedBooking", "resendBooking", "listBookingNotes", "addBookingNote"),
    }
)
"""Operations of staff on what staff of other cinemas do not learn of: they get 404."""

TILLS = frozenset({"getCashSession", "listCashMovements", "moveCash", "closeCashSession"})
"""Operations of staff on what other staff, also of the same cinema, do not learn of: 404."""

OWNED = (
    *("{hold_id}", "{booking_id}", "{payment_id}", "{session_id}", "{job_id}", "{invoice_id}"),
    *("{payment_id}/invoice", "{booking_id}/documents", "{booking_id}/seats"),
    "{booking_id}/exchange",
    *("{ticket_id}", "{ticket_id}/qr.svg", "{ticket_id}/qr.png", "{booking_id}/tickets.pdf"),
    *("{booking_id}/calendar.ics", "{ticket_id}/reissue"),
    *("{booking_id}/exchange", "{booking_id}/billing", "/api/v1/reviews/{review_id}"),
    *("gift-cards/orders/{order_id}", "gift-cards/orders/{order_id}/pay"),
)
"""Ends of paths to what belongs to somebody."""


DAYS_OF = "from=2026-01-01&to=2026-01-07"
WEEK_OF = f"{DAYS_OF}&film="


def later(days: int) -> str:
    """A moment on which the house has nothing on its screens yet."""
    return (datetime.now(UTC) + timedelta(days=60 + days)).isoformat()


class Call(NamedTuple):
    """An operation that succeeds for `allowed`; `{…}` in the path and body are filled in."""

    method: str
    path: str
    allowed: frozenset[str | None]
    status: int = 200
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012  (nobody changes it)


def priced(house: House) -> tuple[dict[str, Any], dict[str, Any]]:
    """A price rule and a promo code, without what they begin with."""
    rule = {"name": "R", "group": "time", "effect": {"kind": "percent", "value": 0}}
    discount = {"kind": "percent", "value": 1}
    return rule, {"discount": discount, "cinema_ids": [house.cinema_id]}


def calls(house: House, facts: dict[str, str], number: int) -> dict[str, Call]:
    """Operation to call; `number` keeps names and times of repeated calls apart."""
    account = {"email": f"new{number}-{house.cinema_id}@example.com", "password": "correct horse"}
    address = {"email": account["email"]}
    link = {"token": "x"}
    reset = {**link, "new_password": "battery staple"}
    accepted = {**link, "password": "battery staple"}
    invited = {"email": f"invited-{account['email']}", "role": "staff"}
    wrong, code = {"password": "wrong"}, {"code": "000000"}
    change = {"current_password": "wrong", "new_password": "battery staple"}
    showtime = {
        "movie_id": house.movie_id,
        "screen_id": house.screen_id,
        "starts_at": later(number),
        "base_price": BASE_PRICE,
        "language": "en",
    }
    screen = {"cinema_id": house.cinema_id, "name": f"New {number}"}
    grid = {"grid": {"rows": 2, "columns": 2 + number}}
    cinema = {"name": f"New {number}", "city": "Rome", "country": "IT"}
    zone = {"time_zone": "Europe/Rome", "currency": "EUR"}
    schedule = {
        "cinema_id": house.cinema_id,
        "date_from": later(0)[:10],
        "date_to": later(0)[:10],
        "films": [{"movie_id": house.movie_id, "visitors": 0}],
        "base_price": BASE_PRICE,
        "seconds": 1,
    }
    rule, promo = priced(house)
    product = {"name": "Popcorn", "price": 450}
    eur = {"amount": 1, "currency": "EUR"}
    till = {"cinema_id": house.cinema_id, "till": f"Till {number}", "opening": eur}
    days = f"cinemas/{house.cinema_id}/business-days"
    plan, hook = f"schedule/plans/{UNKNOWN_ID}", f"admin/webhooks/{UNKNOWN_ID}"
    shown = f"showtimes/{facts['showtime']}"
    held = f"{shown}/holds/{facts['hold']}"
    shown_film = f"cinemas/{house.cinema_id}/movies/{house.movie_id}"
    booking: dict[str, Any] = {
        "showtime_id": facts["showtime"],
        "hold_id": facts["hold"],
        "payment": {"method": "demo"},
    }
    if facts["person"] == "guest":
        booking["email"] = GUEST_EMAIL
    ticket, why = f"tickets/{ticket_id(UUID(facts['booking']), 0)}", {"reason": "Stolen."}
    managed = f"admin/bookings/{facts['booking']}"
    order, with_link = f"orders/{facts['booking']}", {"Link-Token": "x"}
    return {
        "register": Call("POST", "auth/register", ANYBODY, 201, account),
        "login": Call("POST", "auth/login", ANYBODY, 200, account),
        "refresh": Call("POST", "auth/refresh", ANYBODY, 401),
        "logout": Call("POST", "auth/logout", ANYBODY - GUESTS),
        "beginGuest": Call("POST", "auth/guest", GUESTS | {None}, 201),
        "endGuest": Call("DELETE", "auth/guest", GUESTS),
        "claimGuest": Call("POST", "auth/guest/claim", SIGNED_IN, 409),
        "logoutEverywhere": Call("POST", "auth/logout-all", SIGNED_IN),
        "listSessions": Call("GET", "auth/sessions", SIGNED_IN),
        "endSession": Call("DELETE", f"auth/sessions/{facts['session']}", SIGNED_IN),
        "forgotPassword": Call("POST", "auth/forgot-password", ANYBODY, 200, address),
        "resendVerification": Call("POST", "auth/verify-email/resend", ANYBODY, 200, address),
        "resetPassword": Call("POST", "auth/reset-password", ANYBODY, 410, reset),
        "verifyEmail": Call("POST", "auth/verify-email", ANYBODY, 410, link),
        "changePassword": Call("POST", "auth/change-password", SIGNED_IN, 401, change),
        "changeEmail": Call("POST", "auth/change-email", SIGNED_IN, 401, {**address, **wrong}),
        "answerChallenge": Call("POST", "auth/mfa/login", ANYBODY, 401, {"mfa_token": "x", **code}),
        "beginSecondFactor": Call("POST", "auth/mfa/totp", SIGNED_IN, 401, wrong),
        "verifySecondFactor": Call("POST", "auth/mfa/verify", SIGNED_IN, 409, code),
        "renewRecoveryCodes": Call(
            "POST", "auth/mfa/recovery-codes", SIGNED_IN, 409, {**wrong, **code}
        ),
        "resetSecondFactor": Call(
            "POST", f"admin/users/{house.people['bob']}/reset-mfa", ADMINS, 409
        ),
        "removeSecondFactor": Call("DELETE", "auth/mfa/totp", SIGNED_IN, 409, {**wrong, **code}),
        "changeMe": Call("PATCH", "auth/me", SIGNED_IN, 200, {"language": "de"}),
        "deleteMe": Call("DELETE", "auth/me", SIGNED_IN - ADMINS, 401, wrong),
        "me": Call("GET", "auth/me", SIGNED_IN),
        "exportMe": Call("POST", "auth/me/export", SIGNED_IN, 403),
        "downloadExport": Call(
            *("GET", f"auth/exports/{UNKNOWN_ID}", ANYBODY, 410), headers={"Link-Token": "x"}
        ),
        "acceptInvitation": Call("POST", "auth/accept-invitation", ANYBODY, 410, accepted),
        "listUsers": Call("GET", "admin/users?q=x", ADMINS),
        "getMessageChoicesOfUser": Call(
            "GET", f"admin/users/{house.people['bob']}/message-choices", ADMINS
        ),
        "getUser": Call("GET", f"admin/users/{house.people['bob']}", ADMINS),
        "changeUser": Call(
            "PATCH", f"admin/users/{house.people['bob']}", ADMINS, 200, {"cinema_ids": []}
        ),
        "invite": Call("POST", "admin/invitations", ADMINS, 201, invited),
        "listAudit": Call("GET", "admin/audit", ADMINS),
        "getLive": Call("GET", "admin/live", ADMINS),
        "listEvents": Call("GET", "admin/events", ADMINS),
        "createWebhook": Call("POST", "admin/webhooks", ADMINS, 422, {"url": "http://x"}),
        "listWebhooks": Call("GET", "admin/webhooks", ADMINS),
        "getWebhook": Call("GET", hook, ADMINS, 404),
        "changeWebhook": Call("PATCH", hook, ADMINS, 404, {}),
        "deleteWebhook": Call("DELETE", hook, ADMINS, 404),
        "rotateWebhookSecret": Call("POST", f"{hook}/secret", ADMINS, 404),
        "replayWebhook": Call("POST", f"{hook}/replay", ADMINS, 404, {}),
        "listWebhookDeliveries": Call("GET", f"{hook}/deliveries", ADMINS, 404),
        "retryWebhookDelivery": Call("POST", f"{hook}/deliveries/{UNKNOWN_ID}/retry", ADMINS, 404),
        "listMessages": Call("GET", "admin/messages", ADMINS),
        "retryMessage": Call("POST", f"admin/messages/{UNKNOWN_ID}/retry", ADMINS, 404),
        "listMessageKinds": Call("GET", "admin/messages/kinds", ADMINS),
        "previewMessage": Call("GET", "admin/messages/preview?kind=refund_sent", ADMINS),
        "getMessageChoices": Call("GET", "auth/me/messages", SIGNED_IN),
        "putMessageChoices": Call("PUT", "auth/me/messages", SIGNED_IN, 200, {"off": []}),
        "turnMessagesOff": Call("POST", "messages/off?token=x", ANYBODY, 410, {}),
        "turnMessagesOn": Call("DELETE", "messages/off?token=x", ANYBODY, 410),
        "getJob": Call("GET", f"jobs/{facts['job']}", SIGNED_IN),
        "listJobs": Call("GET", "admin/jobs", ADMINS),
        "retryJob": Call("POST", f"admin/jobs/{UNKNOWN_ID}/retry", ADMINS, 404),
        "promoteUser": Call(
            "POST", f"admin/users/{house.people['bob']}/promote", ADMINS, 200, {"role": "customer"}
        ),
        "listMovies": Call("GET", "movies", ANYBODY),
        "getAvailabilityOfMovies": Call(
            "GET", f"movies/availability?ids={house.movie_id}", ANYBODY
        ),
        "getAvailabilityOfShowtimes": Call(
            "GET", f"showtimes/availability?ids={facts['showtime']}", ANYBODY
        ),
        "getMovie": Call("GET", f"movies/{house.movie_id}", ANYBODY),
        "listShowtimesOfMovie": Call("GET", f"movies/{house.movie_id}/showtimes", ANYBODY),
        "listReviewsOfMovie": Call("GET", f"movies/{house.movie_id}/reviews", ANYBODY),
        # Nobody has seen the film.
        "writeReview": Call(
            "POST", f"movies/{house.movie_id}/reviews", SIGNED_IN, 409, {"rating": 5}
        ),
        "listOwnReviews": Call("GET", "reviews", SIGNED_IN),
        "changeReview": Call("PATCH", f"reviews/{facts['review']}", SIGNED_IN, 200, {"rating": 4}),
        "deleteReview": Call("DELETE", f"reviews/{facts['review']}", SIGNED_IN),
        "reportReview": Call(
            *("POST", f"reviews/{facts['others review']}/report", SIGNED_IN, 200),
            {"reason": "spam"},
        ),
        "listReviews": Call("GET", "admin/reviews", ADMINS),
        "decideReview": Call(
            *("PATCH", f"admin/reviews/{facts['others review']}", ADMINS, 200),
            {"status": "published"},
        ),
        "createMovie": Call("POST", "movies", ADMINS, 201, {"title": "M", "runtime_minutes": 9}),
        "replaceMovie": Call(
            *("PUT", f"movies/{facts['movie']}", ADMINS, 200),
            {"title": "N", "runtime_minutes": 9},
            headers={"If-Match": '"1"'},
        ),
        # A form without a picture: who may send one is told so.
        "setPoster": Call("POST", f"movies/{facts['movie']}/poster", ADMINS, 415, {}),
        "getPicture": Call("GET", "/media/x", ANYBODY, 404),
        "deleteMovie": Call(
            *("DELETE", f"movies/{facts['movie']}", ADMINS, 200), headers={"If-Match": '"1", "2"'}
        ),
        "listCinemas": Call("GET", "cinemas", ANYBODY),
        "replaceCinema": Call(
            *("PUT", f"cinemas/{facts['cinema']}", ADMINS, 200),
            {**cinema, **zone},
            headers={"If-Match": '"1"'},
        ),
        "deleteCinema": Call(
            *("DELETE", f"cinemas/{facts['cinema']}", ADMINS, 200),
            headers={"If-Match": '"1", "2"'},
        ),
        "getCinema": Call("GET", f"cinemas/{house.cinema_id}", ANYBODY),
        "getCinemaSettings": Call("GET", f"cinemas/{house.cinema_id}/settings", MANAGERS),
        "changeCinemaSettings": Call(
            *("PUT", f"cinemas/{house.cinema_id}/settings", MANAGERS, 200, {}),
            headers={"If-Match": '"1"'},
        ),
        "listScreensOfCinema": Call("GET", f"cinemas/{house.cinema_id}/screens", ANYBODY),
        "getCalendarOfCinema": Call("GET", f"cinemas/{house.cinema_id}/showtimes.ics", ANYBODY),
        "getCalendarOfMovie": Call("GET", f"movies/{house.movie_id}/showtimes.ics", ANYBODY),
        "createCinema": Call("POST", "cinemas", ADMINS, 201, {**cinema, **zone}),
        "getScreen": Call("GET", f"screens/{house.screen_id}", ANYBODY),
        "getLayout": Call("GET", f"screens/{house.screen_id}/layout", ANYBODY),
        "listLayouts": Call("GET", f"screens/{house.screen_id}/layouts", MANAGERS),
        "importLayout": Call(
            *("POST", f"screens/{house.screen_id}/layout/import", PLANNERS, 415, {}),
            headers={"If-Match": '"1"'},
        ),
        "exportLayout": Call("GET", f"screens/{house.screen_id}/layout/export", MANAGERS),
        "createScreen": Call("POST", "screens", MANAGERS, 201, {**screen, **grid}),
        "replaceLayout": Call(
            *("PUT", f"screens/{facts['screen']}/layout", MANAGERS, 200, grid),
            headers={"If-Match": '"1", "2"'},
        ),
        "replaceScreen": Call(
            *("PUT", f"screens/{facts['screen']}", MANAGERS, 200),
            {"name": f"Renamed {number} {facts['screen']}"},
            headers={"If-Match": '"1", "2"'},
        ),
        "deleteScreen": Call(
            *("DELETE", f"screens/{facts['screen']}", MANAGERS, 200),
            headers={"If-Match": '"1", "2", "3"'},
        ),
        "listShowtimes": Call("GET", "showtimes", ANYBODY),
        "getShowtime": Call("GET", shown, ANYBODY),
        "createShowtime": Call("POST", "showtimes", MANAGERS, 201, showtime),
        "changeShowtime": Call(
            *("PUT", shown, MANAGERS, 200),
            {**showtime, "screen_id": facts["hall"], "sales": {"opens_at": later(-70)}},
            headers={"If-Match": '"1", "2"'},
        ),
        "changeShowtimeLayout": Call(
            *("PUT", f"{shown}/layout", MANAGERS, 200, {"layout_version": 1}),
            headers={"If-Match": '"1", "2"'},
        ),
        "cancelShowtime": Call(
            *("DELETE", f"showtimes/{facts['other']}", MANAGERS, 200),
            headers={"If-Match": '"1"'},
        ),
        "listTicketTypes": Call("GET", f"cinemas/{house.cinema_id}/ticket-types", ANYBODY),
        "getPriceSettings": Call("GET", f"cinemas/{house.cinema_id}/pricing", AT_THE_COUNTER),
        "changePriceSettings": Call(
            *("PUT", f"cinemas/{house.cinema_id}/pricing", MANAGERS, 412, {}),
            headers={"If-Match": '"999"'},
        ),
        "listPriceRules": Call("GET", f"pricing/rules?cinema_id={house.cinema_id}", AT_THE_COUNTER),
        "addPriceRule": Call(
            *("POST", "pricing/rules", MANAGERS, 201),
            {"cinema_id": house.cinema_id, **rule},
        ),
        "getPriceRule": Call("GET", f"pricing/rules/{facts['rule']}", AT_THE_COUNTER),
        "changePriceRule": Call(
            *("PUT", f"pricing/rules/{facts['rule']}", MANAGERS, 200, rule),
            headers={"If-Match": '"1"'},
        ),
        "deletePriceRule": Call(
            *("DELETE", f"pricing/rules/{facts['rule']}", MANAGERS, 200),
            headers={"If-Match": '"1", "2"'},
        ),
        "calculatePrice": Call(
            *("POST", "pricing/calculate", ANYBODY, 200),
            {"showtime_id": facts["showtime"], "quantity": 1},
        ),
        "listConcessions": Call("GET", f"cinemas/{house.cinema_id}/concessions", ANYBODY),
        "listProducts": Call("GET", f"concessions?cinema_id={house.cinema_id}", AT_THE_COUNTER),
        "addProduct": Call(
            *("POST", "concessions", MANAGERS, 201), {"cinema_id": house.cinema_id, **product}
        ),
        "setProductImage": Call("POST", f"concessions/{facts['product']}/image", PLANNERS, 415, {}),
        "removeProductImage": Call("DELETE", f"concessions/{facts['product']}/image", MANAGERS),
        "getProduct": Call("GET", f"concessions/{facts['product']}", AT_THE_COUNTER),
        "changeProduct": Call(
            *("PUT", f"concessions/{facts['product']}", MANAGERS, 200, product),
            headers={"If-Match": '"1"'},
        ),
        "deleteProduct": Call(
            *("DELETE", f"concessions/{facts['product']}", MANAGERS, 200),
            headers={"If-Match": '"1", "2"'},
        ),
        "listPickUps": Call("GET", f"cinemas/{house.cinema_id}/pick-ups", AT_THE_COUNTER),
        "pickUpConcessions": Call(
            *("POST", "concessions/pick-up", AT_THE_COUNTER, 404),
            {"cinema_id": house.cinema_id, "code": "NONE"},
        ),
        "validatePromoCode": Call(
            *("POST", "pricing/promocode/validate", ANYBODY, 422),
            {"showtime_id": facts["showtime"], "promo_code": "NONE"},
        ),
        "listPromoCodes": Call("GET", "pricing/promocodes", PLANNERS),
        "addPromoCode": Call(
            *("POST", "pricing/promocodes", MANAGERS, 201),
            {"code": f"NEW-{number}-{facts['promo'][-12:]}", **promo},
        ),
        "getPromoCode": Call("GET", f"pricing/promocodes/{facts['promo']}", MANAGERS),
        "changePromoCode": Call(
            *("PUT", f"pricing/promocodes/{facts['promo']}", MANAGERS, 200, promo),
            headers={"If-Match": '"1"'},
        ),
        "deletePromoCode": Call(
            *("DELETE", f"pricing/promocodes/{facts['promo']}", MANAGERS, 200),
            headers={"If-Match": '"1", "2"'},
        ),
        "sellGiftCards": Call(
            *("POST", "gift-cards", AT_THE_COUNTER, 201),
            {"cinema_id": house.cinema_id, "amount": eur, "payment": {"method": "demo"}},
        ),
        "getGiftCardBalance": Call("POST", "gift-cards/balance", BUYERS, 422, {"code": "NONE"}),
        "orderGiftCard": Call(
            *("POST", "gift-cards/orders", SIGNED_IN, 201),
            {
                "cinema_id": house.cinema_id,
                "amount": {"amount": 500, "currency": "EUR"},
                "payment": {"method": "demo"},
                "recipient": address,
            },
        ),
        "listGiftCardOrders": Call("GET", "gift-cards/orders", SIGNED_IN),
        "getGiftCardOrder": Call("GET", f"gift-cards/orders/{facts['card order']}", SIGNED_IN),
        "payGiftCardOrder": Call("POST", f"gift-cards/orders/{facts['card order']}/pay", SIGNED_IN),
        "returnGiftCardOrder": Call(
            "DELETE", f"gift-cards/orders/{facts['card order']}", SIGNED_IN
        ),
        "listGiftCards": Call("GET", f"gift-cards?cinema_id={house.cinema_id}", MANAGERS),
        "getGiftCard": Call("GET", f"gift-cards/{facts['card']}", MANAGERS),
        "listGiftCardEntries": Call("GET", f"gift-cards/{facts['card']}/entries", MANAGERS),
        "disableGiftCard": Call(
            *("POST", f"gift-cards/{facts['card']}/disable", MANAGERS, 200, {"reason": "Lost."}),
        ),
        "replaceGiftCard": Call(
            *("POST", f"gift-cards/{facts['card']}/replace", MANAGERS, 201, {"reason": "Lost."}),
        ),
        "getLoyalty": Call("GET", "loyalty", SIGNED_IN),
        "listPointsEntries": Call("GET", "loyalty/entries", SIGNED_IN),
        "listCashSessions": Call(
            "GET", f"cash-sessions?cinema_id={house.cinema_id}", AT_THE_COUNTER
        ),
        "openCashSession": Call("POST", "cash-sessions", AT_THE_COUNTER, 201, till),
        "getCashSession": Call("GET", f"cash-sessions/{facts['till']}", MANAGERS),
        "listCashMovements": Call("GET", f"cash-sessions/{facts['till']}/movements", MANAGERS),
        "moveCash": Call(
            *("POST", f"cash-sessions/{facts['till']}/movements", MANAGERS, 201),
            {"kind": "pay_in", "amount": eur, "reason": "x"},
        ),
        "closeCashSession": Call(
            *("POST", f"cash-sessions/{facts['till']}/close", MANAGERS, 200), {"counted": eur}
        ),
        "listBusinessDays": Call("GET", days, MANAGERS),
        "getBusinessDay": Call("GET", f"{days}/2020-01-01", MANAGERS, 404),
        "closeBusinessDay": Call("POST", f"{days}/2999-01-01/close", MANAGERS, 422),
        "generateSchedule": Call("POST", "schedule/generate", MANAGERS, 202, schedule),
        "getSchedulePlan": Call("GET", plan, PLANNERS, 404),
        "cancelSchedulePlan": Call("DELETE", plan, PLANNERS, 404),
        "applySchedulePlan": Call("POST", f"{plan}/apply", PLANNERS, 404),
        "getCinemaSchedule": Call("GET", f"schedule/cinema/{house.cinema_id}", ANYBODY),
        "getScreeningEvent": Call("GET", f"{shown}/screening-event", ANYBODY),
        "scheduleShowtime": Call(
            *("POST", "schedule/showtime", MANAGERS, 201),
            {**showtime, "starts_at": later(number + 100)},
        ),
        "rescheduleShowtime": Call(
            *("PUT", f"schedule/showtime/{facts['third']}", MANAGERS, 200),
            {**showtime, "starts_at": later(number + 200)},
            headers={"If-Match": '"1"'},
        ),
        "unscheduleShowtime": Call(
            *("DELETE", f"schedule/showtime/{facts['third']}", MANAGERS, 200),
            headers={"If-Match": '"2"'},
        ),
        "getSeats": Call("GET", f"{shown}/seats", ANYBODY),
        "placeHold": Call("POST", f"{shown}/holds", BUYERS, 201, {"seats": [facts["seat"]]}),
        "getHold": Call("GET", held, BUYERS),
        "extendHold": Call("PATCH", held, BUYERS, 200, {"extend": True}),
        "releaseHold": Call("DELETE", f"{held}?seats={facts['part']}", BUYERS),
        # There are seats, so nobody has to wait.
        "joinWaitlist": Call("POST", f"{shown}/waitlist", BUYERS, 409, {"quantity": 1}),
        "getWaitlistEntry": Call("GET", f"{shown}/waitlist", BUYERS, 404),
        "leaveWaitlist": Call("DELETE", f"{shown}/waitlist", BUYERS, 404),
        "listWaitlist": Call("GET", f"{shown}/waitlist/entries", AT_THE_COUNTER),
        "createBooking": Call("POST", "bookings", BUYERS, 201, booking),
        "listBookings": Call("GET", "bookings", BUYERS),
        "getBooking": Call("GET", f"bookings/{facts['booking']}", BUYERS),
        "processPayment": Call(
            *("POST", "payments/process", BUYERS, 200),
            {"booking_id": facts["booking"], "method": "demo"},
        ),
        "takeStripeEvent": Call("POST", "webhooks/stripe", ANYBODY, 400),
        "takeStripeEventUnversioned": Call("POST", "/api/webhooks/stripe", ANYBODY, 400),
        "listPaymentDifferences": Call("GET", "admin/payments/differences", ADMINS),
        "getPayment": Call("GET", f"payments/{facts['payment']}", BUYERS),
        "getInvoiceOfPayment": Call("GET", f"payments/{facts['payment']}/invoice", BUYERS),
        "getInvoice": Call("GET", f"invoices/{facts['invoice']}", BUYERS),
        "listDocumentsOfBooking": Call("GET", f"bookings/{facts['booking']}/documents", BUYERS),
        "getDistributorReport": Call(
            "GET",
            f"reports/distributor?cinema_id={house.cinema_id}&{WEEK_OF}{house.movie_id}",
            MANAGERS,
        ),
        "drawDistributorReturn": Call(
            *("POST", f"cinemas/{house.cinema_id}/distributor-returns", MANAGERS, 201),
            {"movie_id": house.movie_id, "from": "2026-01-01", "to": "2026-01-07"},
        ),
        "listDistributorReturns": Call(
            "GET", f"cinemas/{house.cinema_id}/distributor-returns", MANAGERS
        ),
        "getDistributorReturn": Call("GET", f"distributor-returns/{facts['return']}", MANAGERS),
        **{
            f"get{name}Report": Call("GET", f"admin/reports/{path}?{DAYS_OF}", PLANNERS)
            for name, path in (
                ("Capacity", "capacity"),
                ("Revenue", "revenue"),
                ("PopularMovies", "popular-movies"),
                ("Occupancy", "occupancy"),
                ("Funnel", "funnel"),
                ("Cash", "cash"),
                ("Distributors", "distributor"),
            )
        },
        "getRecommendationsReport": Call(
            "GET", f"admin/reports/recommendations?{DAYS_OF}", PLANNERS
        ),
        "getDashboard": Call("GET", "admin/dashboard", PLANNERS),
        "listInvoicesOfCinema": Call("GET", f"cinemas/{house.cinema_id}/invoices", MANAGERS),
        "quoteRefund": Call("GET", f"bookings/{facts['booking']}/refund-quote", BUYERS),
        "refundPayment": Call(
            *("POST", "payments/refund", AT_THE_COUNTER, 200),
            {
                "booking_id": facts["booking"],
                "amount": {"amount": 1, "currency": "EUR"},
                "reason": "Rain.",
            },
        ),
        "listRefunds": Call("GET", "payments/refunds", AT_THE_COUNTER | ELSEWHERE),
        "payOutRefund": Call(
            "POST", f"payments/refunds/{UNKNOWN_ID}/pay-out", AT_THE_COUNTER | ELSEWHERE, 404, {}
        ),
        "retryRefund": Call(
            "POST", f"payments/refunds/{UNKNOWN_ID}/retry", AT_THE_COUNTER | ELSEWHERE, 404
        ),
        "listLedgerOfBooking": Call("GET", f"bookings/{facts['booking']}/ledger", AT_THE_COUNTER),
        "changeSeats": Call(
            *("POST", f"bookings/{facts['booking']}/seats", BUYERS),
            body={"from": ["A3"], "to": ["B7"]},
        ),
        "exchangeBooking": Call(
            *("POST", f"bookings/{facts['booking']}/exchange", BUYERS, 404),
            body={"showtime_id": UNKNOWN_ID, "hold_id": UNKNOWN_ID},
        ),
        "listRecommendations": Call("GET", "recommendations", ANYBODY),
        "sendRecommendationFeedback": Call(
            *("POST", "recommendations/feedback", SIGNED_IN),
            body={"movie_id": house.movie_id, "kind": "more"},
        ),
        "deleteRecommendationFeedback": Call(
            "DELETE", f"recommendations/feedback?movie_id={UNKNOWN_ID}", SIGNED_IN, 404
        ),
        "sendPageEvents": Call(
            *("POST", "events", ANYBODY, 202),
            body={"events": [{"kind": "click", "movie_id": house.movie_id}]},
        ),
        "getPreferences": Call("GET", "me/preferences", SIGNED_IN),
        "replacePreferences": Call("PUT", "me/preferences", SIGNED_IN, body={}),
        "listTickets": Call("GET", "tickets", BUYERS),
        "getTicket": Call("GET", ticket, BUYERS),
        "getTicketCodeAsSvg": Call("GET", f"{ticket}/qr.svg", BUYERS),
        "getTicketCodeAsPng": Call("GET", f"{ticket}/qr.png", BUYERS),
        "getTicketsAsPdf": Call("GET", f"bookings/{facts['booking']}/tickets.pdf", BUYERS),
        # The house has no certificate for passes.
        "getTicketForWallet": Call("GET", f"{ticket}/wallet.pkpass", BUYERS, 404),
        "getCalendarOfBooking": Call("GET", f"bookings/{facts['booking']}/calendar.ics", BUYERS),
        "reissueTicket": Call("POST", f"{ticket}/reissue", BUYERS),
        "blockTicket": Call("POST", f"{ticket}/block", AT_THE_COUNTER, 200, why),
        "unblockTicket": Call("POST", f"{ticket}/unblock", AT_THE_COUNTER),
        "unscanTicket": Call("POST", f"{ticket}/unscan", AT_THE_COUNTER, 409, why),
        "scanTicket": Call(
            "POST", "tickets/scan", AT_THE_COUNTER | ELSEWHERE, 422, {"token": "nonsense"}
        ),
        "uploadScans": Call(
            *("POST", "tickets/scans", AT_THE_COUNTER | ELSEWHERE, 200),
            {"scans": [{"token": "nonsense", "at": later(0), "nonce": uuid4().hex}]},
        ),
        "getScanList": Call("GET", f"{shown}/scan-list", AT_THE_COUNTER),
        "getAttendance": Call("GET", f"{shown}/attendance", AT_THE_COUNTER),
        "addScanner": Call(
            *("POST", f"cinemas/{house.cinema_id}/scanners", MANAGERS, 201), {"name": "Door"}
        ),
        "listScanners": Call("GET", f"cinemas/{house.cinema_id}/scanners", MANAGERS),
        "revokeScanner": Call("DELETE", f"scanners/{facts['scanner']}", MANAGERS),
        # Its invoice is issued.
        "putBilling": Call(
            *("PUT", f"bookings/{facts['booking']}/billing", BUYERS, 409),
            body={"name": "A", "address": "B"},
        ),
        "searchBookings": Call(
            "GET", f"admin/bookings?showtime_id={facts['showtime']}", AT_THE_COUNTER | ELSEWHERE
        ),
        "getManagedBooking": Call("GET", managed, AT_THE_COUNTER),
        # It is paid, and without a deposit.
        "takeDeposit": Call(
            *("POST", f"bookings/{facts['booking']}/deposit", AT_THE_COUNTER, 409),
            {"percent": 25, "payment": {"method": "demo"}},
        ),
        "getDeposit": Call("GET", f"bookings/{facts['booking']}/deposit", AT_THE_COUNTER, 404),
        "resendBooking": Call("POST", f"{managed}/resend", AT_THE_COUNTER),
        "listBookingNotes": Call("GET", f"{managed}/notes", AT_THE_COUNTER),
        "addBookingNote": Call("POST", f"{managed}/notes", AT_THE_COUNTER, 201, {"text": "Late."}),
        "cancelBooking": Call("DELETE", f"bookings/{facts['booking']}", BUYERS),
        "getOrder": Call("GET", order, ANYBODY, 410, headers=with_link),
        "cancelOrder": Call("DELETE", order, ANYBODY, 410, headers=with_link),
        "getInvoiceOfOrder": Call("GET", f"{order}/invoice", ANYBODY, 410, headers=with_link),
        "quoteRefundOfOrder": Call("GET", f"{order}/refund-quote", ANYBODY, 410, headers=with_link),
        # The showtime has no waiting room.
        "putWaitingRoom": Call(
            "PUT", f"showtimes/{facts['third']}/queue", MANAGERS, 200, {"mode": "off"}
        ),
        "getRoomSettings": Call("GET", f"showtimes/{facts['third']}/queue/settings", MANAGERS),
        "putRoomSettings": Call(
            *("PUT", f"showtimes/{facts['third']}/queue/settings", MANAGERS, 200, {"mode": "off"}),
            headers={"If-Match": '"0"'},
        ),
        # No showtime of these is known.
        "bookSeries": Call(
            *("POST", "series", SIGNED_IN, 404),
            body={
                "showtime_ids": [str(uuid4()), str(uuid4())],
                "seats": ["A1"],
                "payment": {"method": "demo"},
            },
        ),
        "listSeries": Call("GET", "series", SIGNED_IN),
        "getSeries": Call("GET", f"series/{uuid4()}", SIGNED_IN, 404),
        "paySeries": Call("POST", f"series/{uuid4()}/pay", SIGNED_IN, 404),
        "listPresaleCodes": Call("GET", f"{shown}/presale-codes", MANAGERS),
        "addPresaleCode": Call(
            *("POST", f"{shown}/presale-codes", MANAGERS, 201),
            body={"code": uuid4().hex, "starts_at": later(0), "max_uses": 1},
        ),
        "changePresaleCode": Call(
            *("PUT", f"{shown}/presale-codes/{facts['presale code']}", MANAGERS, 200),
            body={"starts_at": later(0), "max_uses": 1},
            headers={"If-Match": '"1"'},
        ),
        "deletePresaleCode": Call(
            *("DELETE", f"{shown}/presale-codes/{facts['presale code']}", MANAGERS),
            headers={"If-Match": '"1", "2"'},
        ),
        "putFilmRoom": Call("PUT", f"{shown_film}/queue", MANAGERS, 200, {"mode": "off"}),
        "getFilmRoom": Call("GET", f"{shown_film}/queue", ANYBODY),
        "getWaitingRoom": Call("GET", f"{shown}/queue", ANYBODY),
        "joinWaitingRoom": Call(
            "POST", f"{shown}/queue", ANYBODY, 409, {"device_secret": "x" * 22}
        ),
        "enterShowtime": Call("POST", f"{shown}/queue/entry", BUYERS, 409, {"token": "x"}),
        "leaveWaitingRoom": Call("DELETE", f"{shown}/queue", BUYERS, 409),
        "listShuffledPlaces": Call("GET", f"{shown}/queue/order", ANYBODY, 409),
        "watchShowtime": Call("GET", f"{shown}/watch", ANYBODY, 426),
        "getSite": Call("GET", "site", ANYBODY),
        "healthz": Call("GET", "/healthz", ANYBODY),
        "readyz": Call("GET", "/readyz", ANYBODY),
        "metrics": Call("GET", "/metrics", ANYBODY),
    }


async def documented(house: House) -> dict[str, tuple[str, Any]]:
    """Operation to its path and what the document says of it."""
    document = await (await house.client.get("openapi.json")).json()
    return {
        operation["operationId"]: (path, operation)
        for path, methods in document["paths"].items()
        for operation in methods.values()
    }


async def facts_of(house: House, owner: str, person: str | None = None) -> dict[str, str]:
    """What an owner has: a hold, a booking, a session, a job; a seat that is free; and who asks."""
    screen_id = await house.screen(grid={"rows": 2, "columns": 20})
    showtime_id = await house.showtime(screen_id=screen_id)
    film = {"title": "Of the roles", "runtime_minutes": 9}
    cinema = {"name": "Of the roles", "city": "Rome", "country": "IT"}
    zone = {"time_zone": "Europe/Rome", "currency": "EUR"}
    rule, promo = priced(house)
    rule, promo = {**rule, "cinema_id": house.cinema_id}, {**promo, "code": uuid4().hex}
    product = {"cinema_id": house.cinema_id, "name": "Popcorn", "price": 450}
    booking_id = await house.booked(owner, showtime_id, "A3")
    booking = (await house.ask("admin", "GET", f"bookings/{booking_id}")).data
    till = {"cinema_id": house.cinema_id, "till": uuid4().hex, "opening": BASE_PRICE}
    cashier = {"manager": "admin"}.get(person or owner, "manager")
    presale = {"code": uuid4().hex, "starts_at": later(0), "max_uses": 1}
    codes = f"showtimes/{showtime_id}/presale-codes"
    return {
        "presale code": (await house.ask("admin", "POST", codes, presale)).data["id"],
        "till": (await house.ask(cashier, "POST", "cash-sessions", till)).data["id"],
        "rule": (await house.ask("admin", "POST", "pricing/rules", rule)).data["id"],
        "promo": (await house.ask("admin", "POST", "pricing/promocodes", promo)).data["id"],
        "card": (await card(house))["id"],
        "card order": await paid_order(house, "ada" if owner == "guest" else owner),
        "scanner": (await device(house))["device"]["id"],
        "product": (await house.ask("admin", "POST", "concessions", product)).data["id"],
        "movie": (await house.ask("admin", "POST", "movies", film)).data["id"],
        "cinema": (await house.ask("admin", "POST", "cinemas", {**cinema, **zone})).data["id"],
        "showtime": showtime_id,
        "hall": screen_id,
        "other": await house.showtime(),
        "third": await house.showtime(),
        "screen": await house.screen(grid={"rows": 2, "columns": 2}),
        "hold": await house.held(owner, showtime_id, "A1", "A2"),
        "booking": booking_id,
        "payment": booking["payment"]["id"],
        "return": (
            await house.ask(
                *("admin", "POST", f"cinemas/{house.cinema_id}/distributor-returns"),
                {"movie_id": house.movie_id, "from": "2026-01-01", "to": "2026-01-07"},
            )
        ).data["id"],
        "invoice": (await invoice_of(house, "admin", booking["payment"]["id"]))["id"],
        "review": await review(house, house.people[owner]),
        "others review": await review(house, str(uuid4())),
        "seat": "A4",
        "part": "A2",
        "session": house.people[owner],
        "person": person or owner,
        "job": await house.job(owner),
    }


async def paid_order(house: House, person: str) -> str:
    """The id of a gift card's order of somebody."""
    made = await order(house, by=person)
    assert made.status == 201, made
    return str(made.data["id"])


async def review(house: House, user_id: str) -> str:
    """The id of a review of a film that nobody knows."""
    review_id = str(uuid4())
    await house.database.execute(
        "insert into reviews (id, movie_id, user_id, rating, text, status, created_at)"
        " values ($1, $2, $3, 5, '', 'published', now())",
        *(review_id, uuid4(), user_id),
    )
    return review_id


async def test_table_has_every_operation_of_the_server(house: House) -> None:
    operations = await documented(house)
    assert set(calls(house, await facts_of(house, "ada"), 0)) == set(operations)
    personal = {
        name
        for name, (path, operation) in operations.items()
        if path.endswith(OWNED)
        and "/admin/" not in path
        and operation["security"] != [{"link": []}]
    }
    assert set(OF_ANOTHER) == personal | {"createBooking", "processPayment"}


@pytest.mark.parametrize("person", sorted(ANYBODY, key=str), ids=str)
async def test_each_operation_lets_in_whom_it_should(house: House, person: str | None) -> None:
    operations = await documented(house)
    table = calls(house, await facts_of(house, person or "ada"), 1)
    wrong: list[str] = []
    for name, call in table.items():
        path = call.path if call.path[0] != "/" else f"http://127.0.0.1:{house.port}{call.path}"
        headers = dict(call.headers)
        if person:
            headers["Authorization"] = f"Bearer {house.token(person)}"
        reply = await house.client.request(call.method, path, json=call.body, headers=headers)
        raw = await reply.text(errors="replace")
        if name in ENDS_SESSIONS:
            await house.database.execute("update sessions set revoked_at = null")
            await house.database.execute("update guests set ended_at = null")
        expected = call.status if person in call.allowed else 401 if person is None else 403
        if name in UNSEEN and person == "manager elsewhere":
            expected = 404
        if name in OF_THE_HOUSE and person in ELSEWHERE:
            expected = 404
        if name in TILLS and person in ELSEWHERE | {"staff"}:
            expected = 404
        if reply.status != expected:
            wrong.append(f"{name} as {person}: {reply.status}, not {expected}: {raw[:300]}")
        if str(reply.status) not in operations[name][1]["responses"]:
            wrong.append(f"{name} answers {reply.status}, which is not documented")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("person", sorted({"bob", "guest", *ELSEWHERE, *AT_THE_COUNTER}))
async def test_what_is_a_customers_is_unknown_to_all_but_the_staff_of_its_cinema(
    house: House, person: str
) -> None:
    table = calls(house, await facts_of(house, "ada", person), 1)
    wrong: list[str] = []
    for name, allowed in OF_ANOTHER.items():
        call = table[name]
        answer = await house.ask(person, call.method, call.path, call.body)
        expected = call.status if person in allowed else 404
        if person == "guest" and person not in call.allowed:
            expected = 403
        if answer.status != expected:
            wrong.append(f"{name} as {person}: {answer.status}, not {expected}")
    assert not wrong, "\n".join(wrong)


async def test_change_of_role_ends_tokens_at_once(house: House) -> None:
    bearer = {"Authorization": f"Bearer {house.token('bob')}"}
    assert (await house.ask(None, "GET", "bookings", headers=bearer)).status == 200
    bob = house.people["bob"]
    await house.database.execute("update users set email_verified = true where id = $1", bob)
    promotion = await house.ask("admin", "POST", f"admin/users/{bob}/promote", {"role": "staff"})
    assert promotion.data["role"] == "staff"
    refused = await house.ask(None, "GET", "bookings", headers=bearer)
    assert refused.error == (401, "UNAUTHENTICATED")
    assert refused.details == {"reason": "TOKEN_REVOKED"}
