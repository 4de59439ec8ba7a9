"""Of several refusals that apply, the first of the order in `docs/errors.md` is given."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cinema.domain.limits import WAITLIST_ENTRIES
from cinema.domain.rejections import Rejection
from cinema.domain.sale_rules import ChannelQuota
from cinema.domain.showtime.commands import AnyCommand
from tests.unit.domain.showtime.story import (
    block,
    book,
    cancel,
    cancel_showtime,
    change,
    change_terms,
    extend,
    given,
    hold,
    hold_best,
    id_of,
    join,
    pause,
    pay,
    release,
    sale,
    second,
    terms,
    unblock,
)

CLOSED = {"sales_closes_at_us": second(1)}
OTHER_SEATS = sale("A2", 1)
ONE_SEAT = {"seats_per_hold": 1}
KEPT = {"channels": (ChannelQuota(channel="box_office", seats=8),)}
STARTED = {"starts_at_us": second(1)}

NEW_HOLDS: list[tuple[str, str, list[AnyCommand], dict[str, Any], AnyCommand]] = [
    (
        "IDEMPOTENCY_MISMATCH",
        "UNKNOWN_SEAT",
        [hold("A1", key="k")],
        {},
        hold("Z1", "again", key="k"),
    ),
    ("UNKNOWN_SEAT", "DUPLICATE_SEAT", [], {}, hold("A3 A3 Z1")),
    ("DUPLICATE_SEAT", "SALES_CLOSED", [], CLOSED, hold("A3 A3")),
    ("UNKNOWN_SEAT", "SALES_CLOSED", [], CLOSED, hold("Z1")),
    ("DUPLICATE_SEAT", "SHOWTIME_CANCELLED", [cancel_showtime()], {}, hold("A3 A3")),
    ("SHOWTIME_CANCELLED", "SALES_CLOSED", [cancel_showtime()], CLOSED, hold("A3")),
    ("SALES_CLOSED", "SALES_PAUSED", [pause()], CLOSED, hold("A3")),
    ("SALES_PAUSED", "HOLD_LIMIT", [pause()], ONE_SEAT, hold("A3 A4")),
    ("HOLD_LIMIT", "CHANNEL_SOLD_OUT", [], ONE_SEAT | KEPT, hold("A3 A4")),
    ("CHANNEL_SOLD_OUT", "SEAT_UNAVAILABLE", [block("A3")], KEPT, hold("A3 A4")),
    ("SEAT_UNAVAILABLE", "COMPANION_ONLY", [block("A3")], {}, hold("A2 A3")),
    ("COMPANION_ONLY", "ORPHAN_SEAT", [], {}, hold("A2 A4 A5")),
    ("ORPHAN_SEAT", "nothing", [], {}, hold("A4 A5")),
]

BEST_AVAILABLE: list[tuple[str, str, list[AnyCommand], dict[str, Any], AnyCommand]] = [
    (
        "IDEMPOTENCY_MISMATCH",
        "UNKNOWN_CATEGORY",
        [hold_best(1, key="k")],
        {},
        hold_best(1, "again", key="k", category="box"),
    ),
    ("UNKNOWN_CATEGORY", "SALES_CLOSED", [], CLOSED, hold_best(1, category="box")),
    ("UNKNOWN_CATEGORY", "SHOWTIME_CANCELLED", [cancel_showtime()], {}, hold_best(1, category="x")),
    ("SHOWTIME_CANCELLED", "SALES_CLOSED", [cancel_showtime()], CLOSED, hold_best(1)),
    ("SALES_CLOSED", "SALES_PAUSED", [pause()], CLOSED, hold_best(1)),
    ("SALES_PAUSED", "HOLD_LIMIT", [pause()], ONE_SEAT, hold_best(2)),
    ("HOLD_LIMIT", "CHANNEL_SOLD_OUT", [], ONE_SEAT | KEPT, hold_best(2)),
    ("CHANNEL_SOLD_OUT", "NOT_ENOUGH_SEATS", [], KEPT, hold_best(5)),
    ("NOT_ENOUGH_SEATS", "nothing", [], {}, hold_best(5)),
]

_LATER = change_terms(starts_at_us=second(9000), price_overrides=(("box", 1),))

LIVE_AND_ENDED: list[tuple[str, str, list[AnyCommand], dict[str, Any], AnyCommand]] = [
    (
        "IDEMPOTENCY_MISMATCH",
        "HOLD_ENDED",
        [hold("A1"), release(key="k")],
        {},
        release("A1", key="k"),
    ),
    (
        "IDEMPOTENCY_MISMATCH",
        "NOT_FOUND",
        [hold("A1"), release(key="k")],
        {},
        msgspec.structs.replace(release(hold_id="other", key="k"), fingerprint=b"another!"),
    ),
    ("NOT_FOUND", "HOLD_ENDED", [hold("A1"), release()], {}, extend(by="bob")),
    ("HOLD_ENDED", "UNKNOWN_SEAT", [hold("A1"), release()], {}, release("Z1")),
    ("UNKNOWN_SEAT", "DUPLICATE_SEAT", [hold("A1 A2")], {}, release("A1 A1 Z1")),
    ("UNKNOWN_SEAT", "SEAT_NOT_INCLUDED", [hold("A1 A2")], {}, release("A3 Z1")),
    ("DUPLICATE_SEAT", "SEAT_NOT_INCLUDED", [hold("A1 A2")], {}, release("A3 A3")),
    ("HOLD_ENDED", "HOLD_LIMIT", [hold("A1"), book()], {"hold_max_s": 1}, extend()),
    ("NOT_FOUND", "HOLD_LIMIT", [hold("A1")], {"hold_max_s": 10}, extend(by="bob")),
    ("HOLD_LIMIT", "nothing", [hold("A1")], {"hold_max_s": 10}, extend()),
    (
        "IDEMPOTENCY_MISMATCH",
        "NOT_FOUND",
        [hold("A1"), book(key="k")],
        {},
        msgspec.structs.replace(book("other", key="k"), fingerprint=b"another!"),
    ),
    ("NOT_FOUND", "HOLD_ENDED", [hold("A1"), release()], {}, book(by="bob")),
    ("NOT_FOUND", "HOLD_CHANGED", [hold("A1")], {}, book(by="bob", sale=OTHER_SEATS)),
    ("HOLD_ENDED", "HOLD_CHANGED", [hold("A1"), release()], {}, book(sale=OTHER_SEATS)),
    ("PAYMENT_IN_PROGRESS", "HOLD_CHANGED", [hold("A1"), pay()], {}, book(sale=OTHER_SEATS)),
    ("PAYMENT_IN_PROGRESS", "HOLD_LIMIT", [hold("A1 A2"), pay()], {}, pay(seats_limit=1)),
    ("HOLD_LIMIT", "SALES_CLOSED", [hold("A1 A2")], {}, pay(before_start_s=9**6, seats_limit=1)),
    (
        "SALES_CLOSED",
        "HOLD_CHANGED",
        [hold("A1")],
        {},
        pay(before_start_s=9**6, sale=OTHER_SEATS),
    ),
    ("HOLD_CHANGED", "nothing", [hold("A1")], {}, pay(sale=OTHER_SEATS)),
    (
        "IDEMPOTENCY_MISMATCH",
        "BOOKING_ENDED",
        [hold("A1"), book(), cancel(key="k")],
        {},
        cancel("A1", key="k"),
    ),
    (
        "IDEMPOTENCY_MISMATCH",
        "NOT_FOUND",
        [hold("A1"), book(), cancel(key="k")],
        {},
        msgspec.structs.replace(cancel(key="k", by="bob"), fingerprint=b"another!"),
    ),
    ("NOT_FOUND", "SHOWTIME_STARTED", [hold("A1"), book()], STARTED, cancel(by="bob")),
    ("BOOKING_ENDED", "SHOWTIME_STARTED", [hold("A1"), book(), cancel()], STARTED, cancel()),
    ("SHOWTIME_STARTED", "UNKNOWN_SEAT", [hold("A1"), book()], STARTED, cancel("Z1")),
    ("SHOWTIME_STARTED", "SEAT_NOT_INCLUDED", [hold("A1"), book()], STARTED, cancel("A3")),
    ("UNKNOWN_SEAT", "DUPLICATE_SEAT", [hold("A1"), book()], {}, cancel("A1 A1 Z1")),
    ("DUPLICATE_SEAT", "SEAT_NOT_INCLUDED", [hold("A1"), book()], {}, cancel("A3 A3")),
    ("SEAT_NOT_INCLUDED", "nothing", [hold("A1"), book()], {}, cancel("A3")),
    ("UNKNOWN_SEAT", "DUPLICATE_SEAT", [], {}, block("A1 A1 Z1")),
    ("UNKNOWN_SEAT", "SEAT_UNAVAILABLE", [hold("A1")], {}, block("A1 Z1")),
    ("DUPLICATE_SEAT", "SEAT_UNAVAILABLE", [hold("A1")], {}, block("A1 A1")),
    ("SEAT_UNAVAILABLE", "nothing", [hold("A1")], {}, block("A1")),
    ("SHOWTIME_CANCELLED", "PRECONDITION_FAILED", [cancel_showtime()], {}, _LATER),
    ("PRECONDITION_FAILED", "SHOWTIME_STARTED", [pause()], STARTED, _LATER),
    ("SHOWTIME_STARTED", "UNKNOWN_CATEGORY", [], STARTED, _LATER),
    (
        "UNKNOWN_CATEGORY",
        "SHOWTIME_IN_USE",
        [hold("A3")],
        {},
        change_terms(price_overrides=(("box", 1),), movie_id=id_of("other")),
    ),
    ("SHOWTIME_IN_USE", "nothing", [hold("A3")], {}, change_terms(movie_id=id_of("other"))),
]


BOOKED = [hold("A3 A4"), book()]
CHANGED: list[tuple[str, str, list[AnyCommand], dict[str, Any], AnyCommand]] = [
    (
        "IDEMPOTENCY_MISMATCH",
        "BOOKING_ENDED",
        [*BOOKED, change("A3 A4", "A5 A6", key="k"), cancel()],
        {},
        change("A4", "A5", key="k"),
    ),
    (
        "IDEMPOTENCY_MISMATCH",
        "NOT_FOUND",
        [*BOOKED, change("A3 A4", "A5 A6", key="k")],
        {},
        change("A5", "A4", by="bob", key="k"),
    ),
    (
        "NOT_FOUND",
        "SHOWTIME_CANCELLED",
        [*BOOKED, cancel_showtime()],
        {},
        change("A3", "A5", by="bob"),
    ),
    (
        "BOOKING_ENDED",
        "SHOWTIME_CANCELLED",
        [*BOOKED, cancel(), cancel_showtime()],
        {},
        change("A3", "A5"),
    ),
    (
        "SHOWTIME_CANCELLED",
        "SHOWTIME_STARTED",
        [*BOOKED, cancel_showtime()],
        STARTED,
        change("A3", "A5"),
    ),
    ("SHOWTIME_STARTED", "SALES_PAUSED", [*BOOKED, pause()], STARTED, change("A3", "A5")),
    ("SALES_PAUSED", "UNKNOWN_SEAT", [*BOOKED, pause()], {}, change("Z1", "A5")),
    ("UNKNOWN_SEAT", "DUPLICATE_SEAT", BOOKED, {}, change("A3 A3 Z1", "A5 A6 A5")),
    ("UNKNOWN_SEAT", "SEAT_NOT_INCLUDED", BOOKED, {}, change("A6 Z1", "A5 A5")),
    ("DUPLICATE_SEAT", "SEAT_NOT_INCLUDED", BOOKED, {}, change("A6 A6", "A5 A5")),
    ("SEAT_NOT_INCLUDED", "SEAT_UNAVAILABLE", [*BOOKED, block("A5")], {}, change("A6", "A5")),
    ("SEAT_UNAVAILABLE", "COMPANION_ONLY", [*BOOKED, block("A5")], {}, change("A3 A4", "A5 A2")),
    ("COMPANION_ONLY", "ORPHAN_SEAT", BOOKED, {}, change("A3 A4", "A2 A5")),
    ("ORPHAN_SEAT", "BOOKING_CHANGED", BOOKED, {}, change("A3 A4", "A4 A5", seen={"A3": 1})),
    (
        "BOOKING_CHANGED",
        "PAYMENT_REQUIRED",
        BOOKED,
        {},
        change("A3 A4", "A5 A6", 2000, 1000, seen={"A3": 1}),
    ),
    ("PAYMENT_REQUIRED", "nothing", BOOKED, {}, change("A3 A4", "A5 A6", 2000, 1000)),
]

FULL = block("A1 A2 A3 A4 A5 A6")

WAITING: list[tuple[str, str, list[AnyCommand], dict[str, Any], AnyCommand]] = [
    (
        "IDEMPOTENCY_MISMATCH",
        "UNKNOWN_CATEGORY",
        [FULL, join(key="k")],
        {},
        join(category="box", key="k"),
    ),
    ("UNKNOWN_CATEGORY", "SHOWTIME_CANCELLED", [cancel_showtime()], {}, join(category="box")),
    ("SHOWTIME_CANCELLED", "SALES_CLOSED", [cancel_showtime()], CLOSED, join()),
    ("SALES_CLOSED", "SALES_PAUSED", [pause()], CLOSED, join()),
    ("SALES_PAUSED", "WAITLIST_CLOSED", [pause()], STARTED, join()),
    ("WAITLIST_CLOSED", "HOLD_LIMIT", [FULL], STARTED | ONE_SEAT, join(2)),
    ("HOLD_LIMIT", "NOT_ENOUGH_SEATS", [FULL], ONE_SEAT, join(7)),
    ("HOLD_LIMIT", "ALREADY_WAITING", [FULL, join(1)], ONE_SEAT, join(2)),
    (
        "ALREADY_WAITING",
        "HOLD_LIMIT",
        [FULL, join(2), unblock("A3"), hold("A3", by="bob")],
        {"live_holds_per_customer": 1},
        join(2),
    ),
    (
        "HOLD_LIMIT",
        "NOT_ENOUGH_SEATS",
        [hold("A3", by="bob")],
        {"live_holds_per_customer": 1, "seats_per_hold": 9},
        join(7),
    ),
    ("ALREADY_WAITING", "SEATS_AVAILABLE", [FULL, join(2), unblock("A3")], {}, join()),
    ("NOT_ENOUGH_SEATS", "nothing", [FULL], {"seats_per_hold": 9}, join(7)),
    (
        "SEATS_AVAILABLE",
        "WAITLIST_FULL",
        [FULL, *(join(2, by=f"customer {n}") for n in range(WAITLIST_ENTRIES)), unblock("A3")],
        {},
        join(),
    ),
    ("SEATS_AVAILABLE", "nothing", [], {}, join()),
    (
        "WAITLIST_FULL",
        "nothing",
        [FULL, *(join(2, by=f"customer {n}") for n in range(WAITLIST_ENTRIES))],
        {},
        join(),
    ),
]


@pytest.mark.parametrize(
    ("first", "other", "before", "changes", "command"),
    [
        pytest.param(*case, id=f"{type(case[4]).__name__}: {case[0]} before {case[1]}")
        for case in NEW_HOLDS + BEST_AVAILABLE + LIVE_AND_ENDED + CHANGED + WAITING
    ],
)
def test_the_first_refusal_that_applies_is_given(
    first: str, other: str, before: list[AnyCommand], changes: dict[str, Any], command: AnyCommand
) -> None:
    its_terms = terms("WCrrrr", companions_need_accessible=True, protect_orphans=True, **changes)
    decision = given(*before, its_terms=its_terms).when(command, 2).decision
    assert isinstance(decision, Rejection)
    assert decision.code == first


EVERY = NEW_HOLDS + BEST_AVAILABLE + LIVE_AND_ENDED + CHANGED + WAITING
KINDS = {
    "HoldSeats": "new hold",
    "HoldBestAvailable": "best available",
    "ExtendHold": "existing hold",
    "ReleaseHold": "existing hold",
    "BookHold": "booking a hold",
    "StartPayment": "booking a hold",
    "CancelBooking": "existing booking",
    "ChangeSeats": "other seats of a booking",
    "BlockSeats": "seats blocked by staff",
    "ChangeTerms": "other terms",
    "JoinWaitlist": "a place in the wait list",
}


def documented() -> dict[str, list[str]]:
    """The order of refusals by kind of command, as clients read it."""
    text = (Path(__file__).parents[4] / "docs" / "errors.md").read_text()
    section = text.partition("## Precedence")[2].partition("\n\n`PAYMENT_DISPUTED`")[0]
    items = re.findall(r"^- ([a-z ]+): (.+(?:\n  .+)*)", section, re.MULTILINE)
    return {kind: re.findall(r"`([A-Z_]+)`", codes) for kind, codes in items}


APART = {
    # A release has no limit, and an extension names no seats.
    ("existing hold", "SEAT_NOT_INCLUDED", "HOLD_LIMIT"),
    # A hold that has ended is not paid any more.
    ("booking a hold", "HOLD_ENDED", "PAYMENT_IN_PROGRESS"),
    # The showtime forgets whose a booking was that has ended; its row tells the service.
    ("existing booking", "NOT_FOUND", "BOOKING_ENDED"),
    ("other seats of a booking", "NOT_FOUND", "BOOKING_ENDED"),
    # What the whole screen does not have it has not now.
    ("a place in the wait list", "NOT_ENOUGH_SEATS", "SEATS_AVAILABLE"),
    # The kernel counts over all showtimes, and the database knows the other showtimes of a screen.
    ("a place in the wait list", "WAITLIST_FULL", "HOLD_LIMIT"),
    ("a place in the wait list", "HOLD_LIMIT", "nothing"),
    ("other terms", "SHOWTIME_IN_USE", "SCREEN_OCCUPIED"),
    ("other terms", "SCREEN_OCCUPIED", "nothing"),
}
"""Neighbours in the document that no decision of a showtime can show."""


def test_the_document_has_every_kind_and_its_order() -> None:
    orders = documented()
    assert orders.keys() == set(KINDS.values())
    shown: dict[str, set[tuple[str, str]]] = {kind: set() for kind in orders}
    for first, other, _, _, command in EVERY:
        kind = KINDS[type(command).__name__]
        order = [*orders[kind], "nothing"]
        assert other in order[order.index(first) + 1 :], (kind, first, other)
        shown[kind].add((first, other))
    # What stands side by side is shown side by side, so that no two can change places.
    missing = {
        (kind, *pair)
        for kind, codes in orders.items()
        for pair in set(pairwise([*codes, "nothing"])) - shown[kind]
    }
    assert missing == APART


def test_too_many_seats_are_named_before_too_many_holds() -> None:
    story = given(hold("A3", "1"), seats_per_hold=1, live_holds_per_customer=1)
    story.when(hold("B1 B2")).then_refused("HOLD_LIMIT", limit="seats_per_hold", value=1)
