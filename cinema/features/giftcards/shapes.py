"""Gift cards as clients send and see them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import EMAIL_CHARS_MAX
from cinema.domain.money import Money
from cinema.domain.paging import PageQuery
from cinema.features.cashdesk.shapes import Tender, TerminalReference
from cinema.features.ledger.cards import CardCode

Standing = Literal["active", "empty", "expired", "disabled"]

CARDS_AT_ONCE: Final = 500
"""Most cards in a sale; more of them are more sales."""

CARD_MINOR_MAX: Final = 100_000_000
"""Most on a new card: a slip of the hand must not make somebody rich."""

YEARS_MIN: Final = 3
YEARS_MAX: Final = 20


class CardPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How new cards are paid.

    `counter`: the money goes into the caller's open cash session. `free`, for managers: they are
    given away. `demo` is never there in production.
    """

    method: Literal["counter", "demo", "free"]
    tender: Tender | None = None
    reference: TerminalReference = ""


class CardSaleInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sell cards, each with this amount; more than one is for managers."""

    cinema_id: UUID
    amount: Money
    payment: CardPayment
    quantity: Annotated[int, Meta(ge=1, le=CARDS_AT_ONCE)] = 1
    years: Annotated[
        int,
        Meta(ge=YEARS_MIN, le=YEARS_MAX, description="For how long the cards can be used."),
    ] = YEARS_MIN

    def __post_init__(self) -> None:
        if not 0 < self.amount.amount <= CARD_MINOR_MAX:
            raise ValueError(f"A gift card is worth 1 to {CARD_MINOR_MAX} in minor units.")


class NewCard(msgspec.Struct, frozen=True, gc=False):
    """A card that was just sold; nobody can look its `code` up later."""

    id: UUID
    code: str
    last_four: str


class CardSale(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold: cards of `amount` each, which can be used until `expires_at`."""

    id: UUID
    cinema_id: UUID
    amount: Money
    total: Money
    expires_at: datetime
    cards: list[NewCard]


class GiftCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card as managers see it.

    What bookings that are being paid have put aside is not in `balance`.
    """

    id: UUID
    cinema_id: UUID
    last_four: str
    sold_for: Money
    balance: Money
    status: Standing
    method: str
    sold_at: datetime
    expires_at: datetime
    disabled_reason: str | None
    replaced_by: UUID | None


class CardEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What has changed the balance of a card by `amount`, in minor units; it may be below 0."""

    kind: Literal[
        "sold", "reserved", "returned", "refunded", "moved_away", "moved_here", "taken_back"
    ]
    amount: int
    booking_id: UUID | None
    at: datetime


class BalanceInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The code of a card; spaces, dashes and small letters do not matter."""

    code: CardCode


class CardBalance(msgspec.Struct, frozen=True, kw_only=True):
    """What is on a card, for whoever has it."""

    last_four: str
    balance: Money
    status: Standing
    expires_at: datetime


class CardQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cards: those that a cinema has sold."""

    cinema_id: UUID
    last_four: Annotated[str, Meta(min_length=4, max_length=4)] | None = None


class DisableInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a card must not be used any more."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, examples=["Lost."])]


OrderStatus = Literal[
    "open", "cancelled", "paid", "refunding", "refund_failed", "refunded", "charged_back"
]

ORDER_MINOR_MIN: Final = 500
"""Least of an order in minor units: less costs more to take than it is worth."""

PERSON_CHARS: Final = 100
MESSAGE_CHARS: Final = 500

DELIVERY_DAYS_MAX: Final = 365
"""How far ahead a card can be sent."""

PersonName = Annotated[str, Meta(max_length=PERSON_CHARS)]


class Recipient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """To whom a card is sent."""

    email: Annotated[str, Meta(max_length=EMAIL_CHARS_MAX + 32)]
    name: PersonName = ""


class OrderPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an order is paid; `demo` is never there in production."""

    method: Literal["stripe", "demo"]


class CardOrderInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Buy a gift card and have it sent.

    It is sent on the day `deliver_on` of the cinema, or as soon as it is paid.
    """

    cinema_id: UUID
    amount: Money
    payment: OrderPayment
    recipient: Recipient
    sender_name: PersonName = ""
    message: Annotated[str, Meta(max_length=MESSAGE_CHARS)] = ""
    deliver_on: date | None = None


class PaymentOfOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How it stands with the money of an order.

    Whoever may pay it gets `client_secret`, in the answers of ordering and of paying alone.
    """

    method: str
    status: Literal["pending", "succeeded", "failed"]
    error_code: str | None = None
    client_secret: str | None = None


class OrderedCard(msgspec.Struct, frozen=True, kw_only=True):
    """The card of a paid order; its buyer alone sees the `code`, as long as it can be used."""

    id: UUID
    last_four: str
    balance: Money
    status: Standing
    expires_at: datetime
    code: str | None


class CardOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a gift card.

    `refunding`: its money goes back; `refund_failed`: that waits for staff; `charged_back`: the
    customer's bank has taken the money. Texts are empty once they are forgotten.
    """

    id: UUID
    cinema_id: UUID
    amount: Money
    status: OrderStatus
    payment: PaymentOfOrder
    recipient: Recipient
    sender_name: str
    message: str
    deliver_at: datetime
    delivered_at: datetime | None
    created_at: datetime
    paid_at: datetime | None
    refunded_at: datetime | None
    refundable_until: datetime | None
    card: OrderedCard | None


class CardOrderQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which orders: the caller's own, or for managers those at a cinema."""

    cinema_id: UUID | None = None
    status: OrderStatus | None = None
