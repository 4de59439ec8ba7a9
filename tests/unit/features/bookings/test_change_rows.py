"""What is written when tickets of a booking get other seats."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from cinema.app.features import FEATURES
from cinema.domain.showtime.events import HoldBooked, SeatsChanged, SoldBy
from cinema.features.bookings.rules import PricedBy
from cinema.storage.journal.branches import Happened, RowBranches
from tests.unit.domain.showtime.story import id_of, terms

AT_US = 1_700_000_000_000_000
TERMS = terms()
BRANCHES = RowBranches([branch for one in FEATURES.values() for branch in one.rows])
DEARER = SeatsChanged(
    *(id_of("booking"), id_of("ann"), (0, 1), (1000, 1000), (1, 4), (1000, 1250)),
    *((1, 4), (1000, 1250), "EUR", (), ("child", "adult"), (65, 82)),
    *(id_of("payment"), "counter", 16),
)
CHEAPER = msgspec.structs.replace(
    DEARER,
    chosen_prices=(1000, 400),
    prices=(1000, 400),
    payment_id=b"",
    payment_method="",
    tax_minor=0,
    refund_minor=300,
)


def rows(event: Any) -> dict[str, list[Any]]:
    """By branch, without what only says where."""
    written = BRANCHES.rows_of(7, Happened(event, TERMS, AT_US, None))
    assert written is not None
    found: dict[str, list[Any]] = {}
    for number, row in written.rows:
        values = msgspec.json.decode(b"{" + row)
        values.pop("seq")
        found.setdefault(BRANCHES.branches[number].name, []).append(values)
    return found


def test_seats_are_left_before_others_are_chosen() -> None:
    names = [branch.name for branch in BRANCHES.branches]
    order = ["payments_reduced", "seats_left", "seats_left_again", "seats_chosen"]
    assert sorted(order, key=names.index) == order
    made, booking_id = rows(DEARER), id_of("booking").hex()
    left = [{"booking_id": booking_id, "seat": label} for label in ("A1", "A2")]
    assert made["seats_left"] == made["seats_left_again"] == left
    assert made["seats_chosen"] == [
        {
            "booking_id": booking_id,
            "former": former,
            "seat": seat,
            "category": category,
            "price_minor": price,
            "tax_minor": tax,
        }
        for former, seat, category, price, tax in (
            ("A1", "A2", "regular", 1000, 65),
            ("A2", "B1", "premium", 1250, 82),
        )
    ]


def test_what_dearer_seats_cost_more_is_paid_and_written_down() -> None:
    made, payment_id = rows(DEARER), id_of("payment").hex()
    (paid,) = made["changes_paid"]
    assert (paid["id"], paid["method"], paid["amount_minor"]) == (payment_id, "counter", 250)
    (booking,) = made["bookings_changed"]
    assert (booking["more_minor"], booking["tax_minor"]) == (250, 16)
    ledger = {
        row["kind"]: dict(zip(row["accounts"], row["amounts"], strict=True))
        for row in made["ledger_sales"]
    }
    assert ledger == {
        "seat_change": {"customer": 250, "deferred": -234, "tax": -16},
        "payment": {"cash": 250, "customer": -250},
    }
    assert {row["source"] for row in made["ledger_sales"]} == {payment_id}
    assert [row["refund_minor"] for row in made["payments_reduced"]] == [0]
    (due,) = made["invoices_due"]
    labels, category = TERMS.plan.labels, TERMS.plan.categories[TERMS.plan.category_of[4]]
    assert due["what"] == {
        "seats": [[labels[1], labels[4], category, "adult", 250]],
        "amount_minor": 250,
        "payment_id": str(UUID(hex=payment_id)),
        "method": "counter",
    }


def test_what_cheaper_seats_cost_less_goes_back() -> None:
    made = rows(CHEAPER)
    assert not {"changes_paid", "ledger_sales"} & made.keys()
    for branch in ("payments_reduced", "refunds_made", "ledger_cancelled"):
        assert [row["refund_minor"] for row in made[branch]] == [300]
    (due,) = made["invoices_due"]
    assert due["what"] == {"seats": [], "amount_minor": 300, "whole": False}


def test_a_change_at_the_same_price_moves_no_money() -> None:
    event = msgspec.structs.replace(CHEAPER, chosen_prices=(1000, 1000), refund_minor=0)
    made = rows(event)
    assert not {"changes_paid", "ledger_sales", "invoices_due"} & made.keys()
    assert [row["more_minor"] for row in made["bookings_changed"]] == [0]


@pytest.mark.parametrize("event", [DEARER, CHEAPER])
def test_a_change_shares_no_statement_with_others_of_its_showtime(event: SeatsChanged) -> None:
    written = BRANCHES.rows_of(7, Happened(event, TERMS, AT_US, None))
    assert written is not None
    assert written.alone


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, (0, 0, 0, 1000)),
        ({"book_version": 7, "priced_at_us": 5, "taken": 3}, (7, 5, 3, 1000)),
        ({"sold_by": SoldBy(b"film", 900, (), "3D", 1, 8, (("A1", "vip"),))}, (0, 0, 0, 900)),
    ],
)
def test_a_booking_keeps_what_its_prices_follow_from(
    more: dict[str, Any], kept: tuple[int, ...]
) -> None:
    booked = HoldBooked(
        *(id_of("hold"), id_of("ann"), (0,), (1000,), id_of("booking"), "7KXQ2MPA"),
        *(id_of("payment"), "demo", "EUR"),
    )
    (row,) = rows(msgspec.structs.replace(booked, **more))["bookings"]
    made = msgspec.convert(row["priced_by"], PricedBy)
    found = (made.book_version, made.at_us, made.taken, made.sold_by.base_price_minor)
    assert found == kept
    assert made.sold_by.categories == ()
