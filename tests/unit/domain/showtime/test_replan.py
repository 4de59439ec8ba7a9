from __future__ import annotations

import msgspec
import pytest

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    HoldUsed,
    Offer,
    Offering,
    PaymentEnded,
    PaymentReturned,
    PlanChanged,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
)
from cinema.domain.showtime.packed import pack, unpack
from cinema.domain.showtime.replan import composed, moved_event, moved_group

MAPPING = (2, -1, 0)
HOLD, ANN = b"hold-id-16-bytes", b"customer-16-byte"


@pytest.mark.parametrize(
    ("event", "moved"),
    [
        (
            SeatsHeld(HOLD, ANN, (0, 1, 2), (10, 11, 12), 5),
            SeatsHeld(HOLD, ANN, (2, 0), (10, 12), 5),
        ),
        (
            HoldExtended(HOLD, ANN, (2, 1), (12, 11), 5),
            HoldExtended(HOLD, ANN, (0,), (12,), 5),
        ),
        (
            HoldReleased(HOLD, ANN, (0, 1), (10, 11), (2,), (12,), 5),
            HoldReleased(HOLD, ANN, (2,), (10,), (0,), (12,), 5),
        ),
        (
            HoldBooked(HOLD, ANN, (1, 2), (11, 12), HOLD, "C", HOLD, "demo", "EUR"),
            HoldBooked(HOLD, ANN, (0,), (12,), HOLD, "C", HOLD, "demo", "EUR"),
        ),
        (
            BookingCancelled(HOLD, ANN, (2,), (12,), (0, 1), (10, 11)),
            BookingCancelled(HOLD, ANN, (0,), (12,), (2,), (10,)),
        ),
        (
            SeatsChanged(
                *(HOLD, ANN, (0, 1), (10, 11), (1, 2), (12, 13), (1, 2), (12, 13), "EUR"),
                *((HoldUsed(HOLD, (2, 1), (0, 1), (7, 8)),), ("child", "adult"), (3, 4)),
            ),
            SeatsChanged(
                *(HOLD, ANN, (2,), (10,), (0,), (13,), (0,), (13,), "EUR"),
                *((HoldUsed(HOLD, (0,), (2,), (7,)),), ("adult",), (4,)),
            ),
        ),
        (SeatsBlocked((0, 1, 2)), SeatsBlocked((2, 0))),
        (SeatsUnblocked((1,)), SeatsUnblocked(())),
        (SalesPaused(), SalesPaused()),
        (HoldExpired(HOLD, (0,)), HoldExpired(HOLD, (0,))),  # Never a stored reply.
    ],
)
def test_an_event_reads_as_the_new_plan_has_its_seats(event: AnyEvent, moved: AnyEvent) -> None:
    assert moved_event(event, MAPPING) == moved


@pytest.mark.parametrize(
    "event",
    [
        HoldReleased(HOLD, ANN, (0,), (10,), (), (), 5),
        BookingCancelled(HOLD, ANN, (0,), (10,), (), ()),
        PaymentEnded(HOLD, ANN, (0,), (10,), HOLD, True),
        PaymentReturned(HOLD, ANN, (0,), (10,), HOLD, waited=True),
        SeatsChanged(HOLD, ANN, (0,), (10,), (2,), (10,), (2,), (10,), "EUR"),
        SeatsUnblocked((0,)),
        SalesResumed(),
        PlanChanged(1, 2, 1, (0,)),
    ],
)
def test_what_others_were_offered_is_not_told_again(event: Offering) -> None:
    offers = (Offer(HOLD, ANN, (0,), (10,), 5),)
    offered = msgspec.structs.replace(event, offers=offers)
    assert moved_event(offered, MAPPING) == moved_event(event, MAPPING)


def test_a_group_keeps_the_seats_that_still_exist_and_all_else() -> None:
    packed = moved_group(pack(ANN, 3, 4, (0, 1, 2), (10, 11, 12)), MAPPING)
    assert unpack(packed) == (ANN, 3, 4, (2, 0), (10, 12))


def test_two_changes_of_plan_make_one() -> None:
    assert composed((1, -1, 0, 2), (5, -1, 3)) == (-1, -1, 5, 3)
