"""Which business day it is, and what a drawer and a day come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from cinema.features.cashdesk.shapes import MethodTotal, MovementKind, SessionTotal

Tender = Literal["cash", "terminal"]

TENDERS: Final[tuple[Tender, ...]] = ("cash", "terminal")


class Taking(msgspec.Struct, frozen=True, gc=False):
    """Money of one payment that passed a till; `refunded` of it was given back there."""

    tender: Tender
    taken: int
    refunded: int


class MovedCash(msgspec.Struct, frozen=True, gc=False):
    """Cash that was moved other than for sales, as a positive amount."""

    kind: MovementKind
    amount: int


class Drawer(msgspec.Struct, frozen=True, gc=False):
    """What a session's drawer should hold, and how it came to that; in minor units."""

    opening: int
    paid_in: int
    paid_out: int
    banked: int
    tenders: list[MethodTotal]

    @property
    def expected(self) -> int:
        """The cash that should be in the drawer; payments by terminal are not."""
        cash = next((one for one in self.tenders if one.tender == "cash"), None)
        taken = 0 if cash is None else cash.taken - cash.refunded
        return self.opening + self.paid_in - self.paid_out - self.banked + taken


def business_date(at: datetime, time_zone: str, day_starts_at: str) -> date:
    """The business day of a moment: it begins at `day_starts_at` on the cinema's clock.

    What is sold between midnight and then belongs to the day before. It begins once: of an hour
    that comes twice, in the first one.
    """
    zone = ZoneInfo(time_zone)
    day = at.astimezone(zone).date()
    begins = datetime.combine(day, time.fromisoformat(day_starts_at), zone).astimezone(UTC)
    return day - timedelta(days=1) if at < begins else day


def day_to_open(today: date, last_closed: date | None) -> date:
    """The day that a new session belongs to; a day that was closed takes no more of them."""
    if last_closed is None:
        return today
    return max(today, last_closed + timedelta(days=1))


def totals(takings: Iterable[Taking]) -> list[MethodTotal]:
    """Takings by tender, in a fixed order; without tenders that nobody used."""
    found = list(takings)
    return [_total(tender, of) for tender in TENDERS if (of := _of(found, tender))]


def _of(takings: Sequence[Taking], tender: Tender) -> list[Taking]:
    return [one for one in takings if one.tender == tender]


def _total(tender: Tender, takings: Sequence[Taking]) -> MethodTotal:
    return MethodTotal(
        tender=tender,
        payments=sum(one.taken > 0 for one in takings),
        taken=sum(one.taken for one in takings),
        refunds=sum(one.refunded > 0 for one in takings),
        refunded=sum(one.refunded for one in takings),
    )


def drawer(opening: int, moved: Iterable[MovedCash], takings: Iterable[Taking]) -> Drawer:
    """What a session comes to."""
    by_kind = {"pay_in": 0, "pay_out": 0, "bank_drop": 0}
    for one in moved:
        by_kind[one.kind] += one.amount
    return Drawer(
        opening=opening,
        paid_in=by_kind["pay_in"],
        paid_out=by_kind["pay_out"],
        banked=by_kind["bank_drop"],
        tenders=totals(takings),
    )


def day_totals(sessions: Iterable[SessionTotal]) -> list[MethodTotal]:
    """The sum over the sessions of a day, by tender."""
    parts = [part for session in sessions for part in session.tenders]
    sums = []
    for tender in TENDERS:
        of = [part for part in parts if part.tender == tender]
        if of:
            sums.append(
                MethodTotal(
                    tender=tender,
                    payments=sum(part.payments for part in of),
                    taken=sum(part.taken for part in of),
                    refunds=sum(part.refunds for part in of),
                    refunded=sum(part.refunded for part in of),
                )
            )
    return sums
