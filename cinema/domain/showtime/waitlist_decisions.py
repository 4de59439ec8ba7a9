"""Decisions about the wait list: to wait for seats, and to wait no longer."""

from __future__ import annotations

from cinema.domain.ids import format_id
from cinema.domain.limits import WAITLIST_ENTRIES
from cinema.domain.rejections import Rejection
from cinema.domain.sale_rules import WEB
from cinema.domain.showtime.channels import left_for
from cinema.domain.showtime.commands import JoinWaitlist, LeaveWaitlist
from cinema.domain.showtime.events import WaitlistJoined, WaitlistLeft
from cinema.domain.showtime.hold_decisions import limit_refusal
from cinema.domain.showtime.outcomes import NOT_FOUND, Decision
from cinema.domain.showtime.recall import Recalled
from cinema.domain.showtime.state import ShowtimeState
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.showtime.waiting import (
    Wish,
    entry_id_of,
    seats_for,
    waitlist_ends_us,
)
from cinema.domain.times import format_time


def join_waitlist(
    state: ShowtimeState,
    terms: ShowtimeTerms,
    command: JoinWaitlist,
    now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Puts a customer behind all who wait, if there are no seats for them now."""
    plan = terms.plan
    if command.category is not None and command.category not in plan.categories:
        unknown = {"category": command.category, "categories": list(plan.categories)}
        return Rejection(code="UNKNOWN_CATEGORY", details=unknown)
    refusal = (
        _refuse_time(state, terms, now_us)
        or _refuse_number(terms, command.quantity)
        or _refuse_customer(state, terms, command.customer)
    )
    if refusal is not None:
        return refusal
    wish = Wish(command.quantity, command.category, command.accessible, command.together)
    if seats_for(plan, bytes(plan.seat_count), wish, protect_orphans=False) is None:
        message = "This screen has no such seats: waiting for them is in vain."
        details = {"quantity": command.quantity}
        return Rejection(code="NOT_ENOUGH_SEATS", message=message, details=details)
    if seats_for(plan, state.seats, wish, protect_orphans=False) is not None and (
        not terms.channels or command.quantity <= _left(state, terms, now_us)
    ):
        return Rejection(code="SEATS_AVAILABLE")
    waiting = len(state.waitlist)
    if waiting >= WAITLIST_ENTRIES:
        return Rejection(code="WAITLIST_FULL", details={"value": WAITLIST_ENTRIES})
    return WaitlistJoined(command.entry_id, command.customer, *wish, waiting + 1)


def _left(state: ShowtimeState, terms: ShowtimeTerms, now_us: int) -> int:
    """How many seats there are for those who wait, who are customers on the web."""
    return left_for(terms.channels, state.seats, state.channels, WEB, now_us)


def _refuse_time(state: ShowtimeState, terms: ShowtimeTerms, now_us: int) -> Rejection | None:
    if state.cancelled:
        return Rejection(code="SHOWTIME_CANCELLED")
    if not terms.sales_opens_at_us <= now_us < terms.sales_closes_at_us:
        details = {
            "opens_at": format_time(terms.sales_opens_at_us),
            "closes_at": format_time(terms.sales_closes_at_us),
        }
        return Rejection(code="SALES_CLOSED", details=details)
    if state.paused:
        return Rejection(code="SALES_PAUSED")
    ends_us = waitlist_ends_us(terms.starts_at_us, terms.sales_closes_at_us)
    if now_us >= ends_us:
        return Rejection(code="WAITLIST_CLOSED", details={"closed_at": format_time(ends_us)})
    return None


def _refuse_number(terms: ShowtimeTerms, quantity: int) -> Rejection | None:
    most_seats = terms.seats_per_hold
    if quantity <= most_seats:
        return None
    return limit_refusal("seats_per_hold", most_seats, f"At most {most_seats} seats in one hold.")


def _refuse_customer(
    state: ShowtimeState, terms: ShowtimeTerms, customer: bytes
) -> Rejection | None:
    """Why a customer may not wait: one entry or open offer each, and a hold less than the most."""
    entry = state.waitlist.get(customer)
    if entry is not None:
        details = {"status": "waiting", "entry_id": format_id(entry_id_of(entry))}
        return Rejection(code="ALREADY_WAITING", details=details)
    offered = state.offered.get(customer)
    if offered is not None and entry_id_of(offered) in state.holds:
        details = {"status": "offered", "entry_id": format_id(entry_id_of(offered))}
        message = "You were offered seats: book them or release them."
        return Rejection(code="ALREADY_WAITING", message=message, details=details)
    most_holds = terms.live_holds_per_customer
    if state.live_holds_of(customer) >= most_holds:
        message = f"At most {most_holds} holds at a time for this showtime: book or release one."
        return limit_refusal("live_holds_per_customer", most_holds, message)
    return None


def leave_waitlist(
    state: ShowtimeState,
    _terms: ShowtimeTerms,
    command: LeaveWaitlist,
    _now_us: int,
    _recalled: Recalled | None,
) -> Decision:
    """Takes a customer off the list."""
    packed = state.waitlist.get(command.customer)
    if packed is None:
        return NOT_FOUND
    return WaitlistLeft(entry_id_of(packed), command.customer)
