"""Deposits as staff send and see them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from cinema.domain.limits_catalog import EMAIL_CHARS_MAX
from cinema.domain.money import Money
from cinema.features.cashdesk.shapes import Tender, TerminalReference

DepositStatus = Literal["taken", "used", "given_up", "returned"]
DepositEnd = Literal["used", "given_up", "returned"]


class DepositPayment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a deposit is paid: `counter` puts it into the caller's open cash session.

    `demo` is never there in production.
    """

    method: Literal["counter", "demo"]
    tender: Tender | None = None
    reference: TerminalReference = ""


class DepositContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is reminded of the rest."""

    email: Annotated[str, Meta(max_length=EMAIL_CHARS_MAX + 32)]
    language: Literal["en", "de"] = "en"


class DepositInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was agreed: `percent` of the total now, of which `kept_percent` stays if it is given up.

    `contact` gets a mail `remind_before_hours` before the rest is due.
    """

    percent: Annotated[int, Meta(ge=1, le=99)]
    kept_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    payment: DepositPayment
    contact: DepositContact | None = None
    remind_before_hours: Annotated[int, Meta(ge=1, le=24 * 60)] = 72


class DepositCard(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a deposit that was not used, on a gift card.

    `code` is there as long as something is on it.
    """

    id: UUID
    last_four: str
    balance: Money
    code: str | None


class Deposit(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit; `keeps` of its `amount` stay with the cinema if the booking is given up.

    `taken`: it waits for the rest. `used`: it has paid a part of the booking. `given_up`: nobody
    has paid the rest, and `kept` stays. `returned`: the booking was paid otherwise. `card` is there
    once it is decided.
    """

    booking_id: UUID
    status: DepositStatus
    amount: Money
    percent: int
    kept_percent: int
    keeps: Money
    kept: Money
    remind_at: datetime | None
    pay_until: datetime | None
    taken_at: datetime
    ended_at: datetime | None
    card: DepositCard | None
