"""The one table of error codes: status, default text and when to try again."""

from __future__ import annotations

from typing import Final

import msgspec


class ErrorKind(msgspec.Struct, frozen=True):
    """The answer for one code; `retry_after_s` becomes the `Retry-After` header."""

    status: int
    message: str
    retry_after_s: int | None = None


ERROR_TABLE: Final[dict[str, ErrorKind]] = {
    # The request itself, in the order of the checks.
    "BAD_REQUEST": ErrorKind(400, "This is not a well-formed HTTP request."),
    "URI_TOO_LONG": ErrorKind(414, "The request line is too long."),
    "HEADERS_TOO_LARGE": ErrorKind(431, "A header of the request is too long."),
    "REQUEST_TIMEOUT": ErrorKind(408, "The request did not arrive in time."),
    "HTTPS_REQUIRED": ErrorKind(403, "Use https for this service."),
    "NOT_FOUND": ErrorKind(404, "There is nothing here, or it is not yours."),
    "METHOD_NOT_ALLOWED": ErrorKind(405, "This method is not allowed here."),
    "UPGRADE_REQUIRED": ErrorKind(426, "This address speaks WebSocket."),
    "ORIGIN_NOT_ALLOWED": ErrorKind(403, "Pages of this origin may not connect."),
    "CSRF_HEADER_REQUIRED": ErrorKind(403, "Send the header X-Requested-With with this cookie."),
    # Authentication and permissions.
    "UNAUTHENTICATED": ErrorKind(401, "Sign in first: a valid access token is required."),
    "INVALID_CREDENTIALS": ErrorKind(401, "The e-mail address or the password is wrong."),
    "MFA_REQUIRED": ErrorKind(401, "Send the code of your authenticator as well."),
    "FORBIDDEN": ErrorKind(403, "Your role does not allow this."),
    "RATE_LIMITED": ErrorKind(429, "Too many requests; slow down.", retry_after_s=1),
    # The content.
    "UNSUPPORTED_MEDIA_TYPE": ErrorKind(415, "Send the body as application/json."),
    "NOT_ACCEPTABLE": ErrorKind(406, "This is not available in a form that you accept."),
    "PAYLOAD_TOO_LARGE": ErrorKind(413, "The body is larger than the server accepts."),
    "INVALID_SIGNATURE": ErrorKind(400, "The body is not signed, or not with the right secret."),
    "MALFORMED_JSON": ErrorKind(400, "The body is not valid JSON."),
    "VALIDATION_ERROR": ErrorKind(400, "The request does not have the expected form."),
    "PRECONDITION_REQUIRED": ErrorKind(428, "Send If-Match with the version that you read."),
    "PRECONDITION_FAILED": ErrorKind(412, "This has changed since you read it."),
    # Well-formed, but impossible.
    "IDEMPOTENCY_MISMATCH": ErrorKind(422, "This Idempotency-Key was used for another request."),
    "UNKNOWN_REFERENCE": ErrorKind(422, "The request names something that does not exist."),
    "UNKNOWN_SEAT": ErrorKind(422, "This screen has no such seat."),
    "DUPLICATE_SEAT": ErrorKind(422, "A seat is named twice."),
    "IN_THE_FUTURE": ErrorKind(422, "That time or seq is in the future."),
    "UNKNOWN_CATEGORY": ErrorKind(422, "This screen has no such category of seats."),
    "UNUSABLE_IMAGE": ErrorKind(422, "No picture can be made of this file."),
    "UNUSABLE_PLAN": ErrorKind(422, "No layout can be made of this seating plan."),
    "WEBHOOK_URL_REFUSED": ErrorKind(422, "Events cannot be sent to this address."),
    "UNKNOWN_PAYMENT_METHOD": ErrorKind(422, "This payment method is not accepted here."),
    "UNKNOWN_TICKET_TYPE": ErrorKind(422, "This cinema has no such ticket type."),
    "TICKETS_NOT_ALLOWED": ErrorKind(422, "These tickets cannot be booked together."),
    "UNKNOWN_PRODUCT": ErrorKind(422, "A product is not sold at this cinema, or not now."),
    "UNKNOWN_PROMO_CODE": ErrorKind(422, "There is no such promo code for this showtime now."),
    "PROMO_NOT_APPLICABLE": ErrorKind(422, "This promo code takes nothing off these tickets."),
    "UNKNOWN_GIFT_CARD": ErrorKind(
        422, "There is no gift card with this code: look at each character again."
    ),
    "PROOF_REQUIRED": ErrorKind(422, "Show the proof of work that this waiting room asks for."),
    "TICKET_FORGED": ErrorKind(422, "This is not one of our tickets."),
    # A state or a seat was lost.
    "HOLD_ENDED": ErrorKind(409, "This hold has ended."),
    "HOLD_CHANGED": ErrorKind(409, "This hold has changed while it was being booked: try again."),
    "PAYMENT_IN_PROGRESS": ErrorKind(409, "A payment for this hold is under way."),
    "GIFT_CARD_UNUSABLE": ErrorKind(409, "This gift card cannot pay this: pay another way."),
    "GIFT_CARD_NOT_RETURNABLE": ErrorKind(
        409, "This gift card cannot be given back: it was used, or the time for that is over."
    ),
    "POINTS_UNUSABLE": ErrorKind(409, "You have no points that can pay this: pay another way."),
    "PAYMENT_FAILED": ErrorKind(409, "The payment did not succeed. Try again, or pay another way."),
    "PAYMENT_DISPUTED": ErrorKind(
        409, "The customer's bank decides about this payment: until then nothing goes back."
    ),
    "REFUND_TOO_HIGH": ErrorKind(409, "Not so much is left of what was paid."),
    "REFUND_NOT_FAILED": ErrorKind(409, "This refund has not failed: it waits or has ended."),
    "REFUND_NOT_AT_COUNTER": ErrorKind(
        409, "This refund does not wait at the counter: it was paid out, or goes another way."
    ),
    "BOOKING_CHANGED": ErrorKind(
        409, "This booking has changed while its seats were being changed: try again."
    ),
    "PRODUCTS_IN_BOOKING": ErrorKind(
        409, "This booking has products: have them handed out first, or cancel it and book anew."
    ),
    "SERIES_ENDED": ErrorKind(409, "This series was not booked: nothing of it is held."),
    "EXCHANGE_ENDED": ErrorKind(
        409, "This exchange was given up meanwhile: hold the new seats and begin again."
    ),
    "PAYMENT_REQUIRED": ErrorKind(
        409, "The new seats cost more: name a method that pays the difference at once."
    ),
    "BOOKING_ENDED": ErrorKind(409, "This booking has ended."),
    "NO_EMAIL_ADDRESS": ErrorKind(409, "There is no address of this customer to write to."),
    "INVOICE_ISSUED": ErrorKind(409, "The invoice is issued: it does not change any more."),
    "INVOICE_NOT_READY": ErrorKind(
        409, "The invoice is being made: ask again in a few seconds, within a minute it is there."
    ),
    "MESSAGE_NOT_DEAD": ErrorKind(409, "This message was not given up: it waits or has ended."),
    "JOB_NOT_FAILED": ErrorKind(409, "This job was not given up, or another one does its work."),
    "REVIEW_NOT_ALLOWED": ErrorKind(409, "You can review a film once you have seen it here."),
    "ALREADY_REVIEWED": ErrorKind(409, "You have reviewed this film: change that review."),
    "SHOWTIME_STARTED": ErrorKind(409, "The showtime has started."),
    "SEAT_NOT_INCLUDED": ErrorKind(
        409, "A seat is not, or no longer, part of this hold or booking."
    ),
    "QUEUE_REQUIRED": ErrorKind(
        409, "Many want seats of this showtime: get a place in its waiting room first."
    ),
    "QUEUE_CLOSED": ErrorKind(409, "This showtime has no waiting room now: hold seats."),
    "QUEUE_FULL": ErrorKind(409, "This waiting room has no more places."),
    "QUEUE_NOT_YET": ErrorKind(409, "It is not your turn yet: look again later."),
    "QUEUE_PLACE_ENDED": ErrorKind(409, "This place was used or has ended: get another one."),
    "PRESALE_CODE_REFUSED": ErrorKind(409, "This presale code does not let you hold seats now."),
    "SALES_CLOSED": ErrorKind(409, "This showtime is not on sale now."),
    "SALES_PAUSED": ErrorKind(409, "Sales of this showtime are paused."),
    "HOLD_LIMIT": ErrorKind(409, "The limit for holds is reached."),
    "CHANNEL_SOLD_OUT": ErrorKind(409, "The other seats are kept for other channels of sale."),
    "SEAT_UNAVAILABLE": ErrorKind(409, "Someone else was faster: a seat is not available."),
    "NOT_ENOUGH_SEATS": ErrorKind(409, "There are not enough free seats of that kind."),
    "SEATS_AVAILABLE": ErrorKind(409, "There are such seats now: hold them."),
    "ALREADY_WAITING": ErrorKind(409, "You are on the wait list of this showtime already."),
    "WAITLIST_FULL": ErrorKind(409, "The wait list of this showtime is full."),
    "WAITLIST_CLOSED": ErrorKind(409, "The wait list of this showtime has ended."),
    "COMPANION_ONLY": ErrorKind(409, "A companion seat can be taken only with an accessible seat."),
    "ORPHAN_SEAT": ErrorKind(409, "This choice would leave a single seat alone."),
    "PLAN_IN_USE": ErrorKind(409, "Seats that would change are taken."),
    "MOVIE_IN_USE": ErrorKind(409, "Coming showtimes of this film are booked: cancel them first."),
    "SCREEN_IN_USE": ErrorKind(
        409, "Coming showtimes on this screen are booked: cancel them first."
    ),
    "CINEMA_IN_USE": ErrorKind(
        409, "Coming showtimes of this cinema are booked: cancel them first."
    ),
    "SCHEDULE_NOT_DONE": ErrorKind(409, "This plan is not done: it cannot be applied."),
    "SCHEDULE_CONFLICT": ErrorKind(
        409, "The calendar has changed since this plan was made: make a new one."
    ),
    "SCHEDULE_ENDED": ErrorKind(409, "This plan is no longer being made."),
    "SCHEDULE_LIMIT": ErrorKind(409, "Too many plans of this cinema wait to be made."),
    "TICKET_REVOKED": ErrorKind(
        409, "This ticket was issued again: only its latest code is let in."
    ),
    "TICKET_CANCELLED": ErrorKind(409, "This ticket was cancelled."),
    "TICKET_UNPAID": ErrorKind(409, "This booking is not paid: pay it first."),
    "TICKET_BLOCKED": ErrorKind(409, "This ticket is blocked: ask at the counter."),
    "WRONG_CINEMA": ErrorKind(409, "This ticket is for another cinema."),
    "WRONG_SHOWTIME": ErrorKind(409, "This ticket is for another showtime."),
    "TOO_EARLY": ErrorKind(409, "Nobody is let in to this showtime yet."),
    "TOO_LATE": ErrorKind(409, "This showtime is over."),
    "ALREADY_USED": ErrorKind(409, "Somebody was let in with this ticket already."),
    "TICKET_NOT_INSIDE": ErrorKind(409, "Nobody is inside with this ticket."),
    "TICKET_REISSUE_LIMIT": ErrorKind(409, "This ticket was issued again too often."),
    "WEBHOOK_LIMIT": ErrorKind(409, "There are as many webhooks as there may be."),
    "DELIVERY_WAITS": ErrorKind(409, "This event is not sent yet: it waits to be."),
    "ALREADY_PICKED_UP": ErrorKind(409, "This was handed out already."),
    "PRODUCT_LIMIT": ErrorKind(409, "This cinema has as many products as it may have."),
    "PRICE_RULE_LIMIT": ErrorKind(409, "This cinema has as many price rules as it may have."),
    "CASH_SESSION_REQUIRED": ErrorKind(
        409, "Open a cash session at this cinema first: the money goes into it."
    ),
    "CASH_SESSION_OPEN": ErrorKind(409, "A cash session is still open: close it first."),
    "CASH_SESSION_CLOSED": ErrorKind(409, "This cash session is closed: open another one."),
    "NOT_ENOUGH_CASH": ErrorKind(409, "There is less cash in this drawer."),
    "BUSINESS_DAY_CLOSED": ErrorKind(409, "This business day is closed: its report stays."),
    "EARLIER_DAY_OPEN": ErrorKind(409, "An earlier business day is not closed: close it first."),
    "EMAIL_TAKEN": ErrorKind(409, "An account with this e-mail address exists already."),
    "EMAIL_NOT_VERIFIED": ErrorKind(409, "Verify your e-mail address first."),
    "GUEST_HAS_EMAIL": ErrorKind(409, "This guest has booked with another e-mail address."),
    "BOOKING_AHEAD": ErrorKind(409, "You have a coming booking: cancel it first."),
    "MFA_ALREADY_ON": ErrorKind(409, "This account has an authenticator already."),
    "MFA_NOT_ON": ErrorKind(409, "This account has no authenticator."),
    "NAME_TAKEN": ErrorKind(409, "The name is taken."),
    "SHOWTIME_CANCELLED": ErrorKind(409, "This showtime was cancelled."),
    "SHOWTIME_IN_USE": ErrorKind(409, "Seats of this showtime are held or booked."),
    "SCREEN_OCCUPIED": ErrorKind(409, "Another showtime is on this screen at that time."),
    "SHOWTIME_WATCHED": ErrorKind(409, "Somebody watches this showtime: it stays in memory."),
    "INVALID_LINK": ErrorKind(410, "This link is no longer valid: ask for a new one."),
    "GUEST_ENDED": ErrorKind(410, "This guest has ended, or an account has claimed it."),
    "HISTORY_TRUNCATED": ErrorKind(410, "The history does not reach back that far."),
    "EVENTS_FORGOTTEN": ErrorKind(410, "Events behind this position were deleted: begin with 0."),
    # Not now.
    "INTERNAL": ErrorKind(500, "Something went wrong on our side."),
    "OVERLOADED": ErrorKind(503, "Too busy at the moment; nothing was changed.", retry_after_s=1),
    "RETRY": ErrorKind(503, "Not possible at the moment; nothing was changed.", retry_after_s=1),
    "OUTCOME_UNKNOWN": ErrorKind(
        503, "It is not known whether this was done: repeat it with the same key.", retry_after_s=2
    ),
    "NOT_READY": ErrorKind(503, "The server is not ready.", retry_after_s=1),
}
"""The answer for each code, in order of precedence: if several apply, a client sees the first."""
