"""Cash sessions and business days as staff send and see them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import PAGE_DEFAULT
from cinema.domain.money import Money
from cinema.domain.paging import Cursor, Limit

TillName = Annotated[
    str,
    Meta(min_length=1, max_length=40, pattern=r"^\S(.*\S)?$", examples=["Till 1"]),
]
Reason = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")]
Tender = Annotated[
    Literal["cash", "terminal"],
    Meta(description="What was taken at the counter; only with the method `counter`."),
]
TerminalReference = Annotated[
    str,
    Meta(max_length=64, description="What the terminal calls its payment, for the cash report."),
]
MovementKind = Literal["pay_in", "pay_out", "bank_drop"]


class SignedMoney(msgspec.Struct, frozen=True, gc=False):
    """An amount of money that may be negative, in minor units."""

    amount: int
    currency: str


class Tendered(msgspec.Struct, frozen=True, kw_only=True):
    """How money is taken at the counter."""

    tender: Literal["cash", "terminal"] = "cash"
    reference: str = ""


class SessionInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Begin to work at a till, with the change that is in its drawer."""

    cinema_id: UUID
    till: TillName
    opening: Money


class MovementInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cash that goes into the drawer (`pay_in`) or out of it, other than for sales."""

    kind: MovementKind
    amount: Money
    reason: Reason


class CloseInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was counted in the drawer at the end."""

    counted: Money
    note: Annotated[str, Meta(max_length=500)] = ""


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """Cash that went into a drawer or out of it."""

    id: UUID
    session_id: UUID
    kind: MovementKind
    amount: Money
    reason: str
    at: datetime
    by: UUID


class CashSession(msgspec.Struct, frozen=True, kw_only=True):
    """The work of one person at one till.

    What should be in the drawer (`expected`) is told when it was counted, and to managers before:
    whoever counts should not know. `variance` is what was counted beyond it.
    """

    id: UUID
    cinema_id: UUID
    till: str
    business_date: date
    status: Literal["open", "closed"]
    opening: Money
    opened_at: datetime
    opened_by: UUID
    expected: SignedMoney | None = None
    counted: Money | None = None
    variance: SignedMoney | None = None
    note: str = ""
    closed_at: datetime | None = None
    closed_by: UUID | None = None


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which cash sessions of a cinema; staff see their own."""

    cinema_id: UUID
    status: Literal["open", "closed"] | None = None
    business_date: date | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


class DayQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the list of closed days."""

    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


class MethodTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken and given back in one way at the tills of a day, in minor units."""

    tender: Literal["cash", "terminal"]
    payments: int
    taken: int
    refunds: int
    refunded: int


class SessionTotal(msgspec.Struct, frozen=True, kw_only=True):
    """A session in the report of its day; all amounts in minor units."""

    session_id: UUID
    till: str
    opened_by: UUID
    opened_at: datetime
    closed_at: datetime
    opening: int
    paid_in: int
    paid_out: int
    banked: int
    tenders: list[MethodTotal]
    expected: int
    counted: int
    variance: int
    note: str


class DayReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the tills of a cinema took on a business day; it never changes.

    `number` counts the reports of a cinema without gaps. `previous` is the digest of the report
    before, so that none can be taken out or changed without a trace.
    """

    cinema_id: UUID
    cinema: str
    tax_number: str
    business_date: date
    number: int
    currency: str
    closed_at: datetime
    closed_by: UUID
    sessions: list[SessionTotal]
    tenders: list[MethodTotal]
    expected: int
    counted: int
    variance: int
    previous: str


class BusinessDay(msgspec.Struct, frozen=True, kw_only=True):
    """A business day that was closed; `digest` is the SHA-256 of the report's JSON text.

    `signature` is that of a fiscal device, where one is required.
    """

    report: DayReport
    digest: str
    signature: str | None = None
