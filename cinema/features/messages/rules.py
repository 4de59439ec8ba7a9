"""Kinds of messages, their languages, and when an attempt is repeated. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

LANGUAGES: Final = ("en", "de")
"""The languages of the templates; the first one is used if a person asks for none of them."""

FIRST_BACKOFF_S: Final = 30.0
BACKOFF_LIMIT_S: Final = 6 * 3600.0
"""After the n-th failure a message waits 30 s · 2ⁿ, up to six hours."""

JITTER: Final = 0.2
"""The share by which a wait may be shorter or longer, so that messages that failed together are not
tried together again."""

DEAD_AFTER: Final = timedelta(days=3)
"""A message is given up this long after it could first be sent. By then a mail server is back, or
an operator has to look."""

ATTEMPTS_LIMIT: Final = 40
"""Attempts of one message; backoff allows about 20 within three days. More than that come from
processes that ended while they sent."""


class KindOfMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of message; `example` is a payload with all values that its templates need.

    An `optional` one is not sent to who has turned it off. What the law or somebody's safety asks
    for, and what a customer cannot do without, is not optional. One `by_sms` goes to the telephone
    too, of who has asked for that.
    """

    name: str
    example: Mapping[str, Any]
    optional: bool = False
    by_sms: bool = False


TELEPHONE_SET: Final = "account_telephone_set"
"""Tells an account that messages about its bookings go to another telephone from now on."""

_TO: Final = {"first_name": "Ada"}
_LINK: Final = {
    **_TO,
    "url": "https://tickets.example.com/links/Zm9v",
    "expires_at": "2026-06-02T17:31:00Z",
}

_BOOKING: Final = {
    **_TO,
    "film": "Stalker",
    "cinema": "Kino Aurora",
    "starts": "2026-06-01 20:00",
    "code": "7KXQ2MPA",
    "url": "https://tickets.example.com/bookings/019a0c1e",
}

_NOTICE: Final = {**_TO, "at": "2026-06-01T17:31:00Z", "address": "192.0.2.7"}

KINDS: Final[Mapping[str, KindOfMessage]] = {
    kind.name: kind
    for kind in (
        KindOfMessage(name="account_verification", example=_LINK),
        KindOfMessage(name="account_password_reset", example=_LINK),
        KindOfMessage(
            name="account_password_changed", example={**_TO, "at": "2026-06-01T17:31:00Z"}
        ),
        KindOfMessage(name="account_email_change", example=_LINK),
        KindOfMessage(name="account_email_changed", example=_LINK),
        KindOfMessage(name="account_session_reused", example=_NOTICE),
        KindOfMessage(name=TELEPHONE_SET, example={**_TO, "at": "2026-06-01T17:31:00Z"}),
        KindOfMessage(name="account_second_factor_on", example=_NOTICE),
        KindOfMessage(name="account_second_factor_off", example=_NOTICE),
        KindOfMessage(name="account_second_factor_replaced", example=_NOTICE),
        KindOfMessage(
            name="account_second_factor_reset", example={**_TO, "at": "2026-06-01T17:31:00Z"}
        ),
        KindOfMessage(name="account_recovery_code_used", example=_NOTICE),
        KindOfMessage(name="account_code_used_again", example=_NOTICE),
        KindOfMessage(name="account_recovery_codes_renewed", example=_NOTICE),
        KindOfMessage(
            name="account_invitation",
            example={"url": _LINK["url"], "expires_at": _LINK["expires_at"], "role": "staff"},
        ),
        KindOfMessage(
            name="order_link",
            example={
                "code": "K7M2Q9XA",
                "title": "Metropolis",
                "cinema": "Kino Aurora",
                "starts": "2026-06-03 20:15",
                "seats": "F7, F8",
                "url": "https://tickets.example.com/orders/019a0c1e#token=Zm9v",
            },
        ),
        KindOfMessage(
            name="booking_again",
            example={
                **_TO,
                "code": "7KXQ2MPA",
                "film": "Stalker",
                "cinema": "Kino Aurora",
                "starts": "2026-06-01 20:00",
                "seats": "F7, F8",
                "url": "https://tickets.example.com/orders/019a0c1e#token=Zm9v",
            },
        ),
        KindOfMessage(
            name="booking_confirmed",
            example={
                **_BOOKING,
                "address": "Hauptstraße 1, Berlin",
                "screen": "Saal 2",
                "seats": "F7, F8",
                "total": "24.00 EUR",
            },
            optional=True,
        ),
        KindOfMessage(name="booking_receipt", example={**_BOOKING, "total": "24.00 EUR"}),
        KindOfMessage(
            name="payment_due",
            example={
                **_BOOKING,
                "seats": "F7, F8",
                "total": "24.00 EUR",
                "until": "2026-06-01 17:45",
            },
            optional=True,
        ),
        KindOfMessage(
            name="deposit_rest_due",
            example={
                "film": "Stalker",
                "cinema": "Kino Aurora",
                "starts": "2026-06-01 20:00",
                "code": "7KXQ2MPA",
                "deposit": "100.00 EUR",
                "keeps": "20.00 EUR",
                "rest": "300.00 EUR",
                "until": "2026-05-29 17:30",
            },
        ),
        KindOfMessage(
            name="booking_reminder",
            example={
                **_BOOKING,
                "address": "Hauptstraße 1, Berlin",
                "screen": "Saal 2",
                "seats": "F7, F8",
            },
            optional=True,
            by_sms=True,
        ),
        KindOfMessage(
            name="booking_changed",
            example={
                **_BOOKING,
                "screen": "Saal 2",
                "seats": "F7, G1",
                "left": "F8",
                "chosen": "G1",
            },
        ),
        KindOfMessage(
            name="booking_cancelled",
            example={**_BOOKING, "seats": "F7, F8", "left": "F9", "refund": "24.00 EUR"},
        ),
        KindOfMessage(
            name="refund_sent", example={**_BOOKING, "amount": "24.00 EUR"}, optional=True
        ),
        KindOfMessage(
            name="showtime_cancelled",
            example={
                **_TO,
                "film": "Stalker",
                "cinema": "Kino Aurora",
                "starts": "2026-06-01 20:00",
                "reason": "The projector is broken.",
                "code": "7KXQ2MPA",
                "refund": "24.00 EUR",
            },
        ),
        KindOfMessage(
            name="showtime_moved",
            example={
                **_TO,
                "film": "Stalker",
                "cinema": "Kino Aurora",
                "started": "2026-06-01 20:00",
                "starts": "2026-06-01 22:15",
                "former_screen": "Saal 1",
                "screen": "Saal 2",
                "seats": "F7, F8",
                "code": "7KXQ2MPA",
                "refund_until": "2026-06-03 09:30",
            },
        ),
        KindOfMessage(
            name="payment_returned",
            example={
                **_TO,
                "film": "Stalker",
                "cinema": "Kino Aurora",
                "starts": "2026-06-01 20:00",
                "code": "7KXQ2MPA",
                "amount": "24.00 EUR",
                "why": "SEAT_UNAVAILABLE",
            },
        ),
        KindOfMessage(
            name="gift_card_receipt",
            example={
                **_TO,
                "cinema": "Kino Aurora",
                "order": "019a0c1e-7000-7000-8000-0000000000ac",
                "amount": "50.00 EUR",
                "at": "2026-06-01T17:31:00Z",
                "expires_at": "2029-06-01T17:31:00Z",
                "recipient": "Grace",
            },
        ),
        KindOfMessage(
            name="gift_card_sent",
            example={
                "name": "Grace",
                "sender": "Ada",
                "message": "Happy birthday!",
                "cinema": "Kino Aurora",
                "amount": "50.00 EUR",
                "code": "K7QM-3XTR-9WAB-D2PN",
                "expires_at": "2029-06-01T17:31:00Z",
            },
        ),
        KindOfMessage(
            name="waitlist_offer",
            example={
                **_TO,
                "film": "Stalker",
                "cinema": "Kino Aurora",
                "starts": "2026-06-01 20:00",
                "seats": "F7, F8",
                "until": "2026-06-01 17:45",
                "url": "https://tickets.example.com/showtimes/019a0c1e",
            },
            optional=True,
            by_sms=True,
        ),
        KindOfMessage(name="account_export", example=_LINK),
        KindOfMessage(
            name="account_deletion_scheduled", example={**_TO, "at": "2026-06-08T17:31:00Z"}
        ),
    )
}

PATIENT: Final = "booking_receipt"
"""The kind that has a queue of its own, since to print its file takes long and nobody waits for it:
otherwise many of them would be in the way of tickets."""

BY_SMS: Final = frozenset(kind.name for kind in KINDS.values() if kind.by_sms)
OPTIONAL: Final = frozenset(kind.name for kind in KINDS.values() if kind.optional)


def language_of(accepted: str) -> str:
    """The language for a client that accepts these (in the form of `Accept-Language`).

    The first language that has templates counts. Weights are ignored, since clients send the best
    language first.
    """
    for wish in accepted[:200].lower().split(","):
        language = wish.partition(";")[0].partition("-")[0].strip()
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def backoff_s(failures: int, luck: float) -> float:
    """How long to wait after this many failures (at least one); `luck` is random, from 0 to 1."""
    waited = min(BACKOFF_LIMIT_S, FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 20))
    return waited * (1 + JITTER * (2 * luck - 1))
