"""Rows that go with events: how they are made, and the statement that is put together for them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from cinema.app.features import row_branches
from cinema.domain.showtime.events import (
    HoldBooked,
    SeatsHeld,
)
from cinema.domain.showtime.state import NEVER_US
from cinema.features.bookings.change_rows import CHANGE_BRANCHES
from cinema.features.bookings.exchange_rows import EXCHANGE_BRANCHES
from cinema.features.tickets.rows import TICKET_BRANCHES
from cinema.storage.journal import branches as branches_module
from cinema.storage.journal import sql
from cinema.storage.journal.branches import (
    ROWS_LIMIT_BYTES,
    STATEMENTS_LIMIT,
    Happened,
    RowBranch,
    RowBranches,
)
from cinema.storage.journal.postgres import append_call
from cinema.storage.journal.store import Append, NewEvent
from tests.support.stores import (
    BRANCHES,
    append,
    batch,
    booking,
    called_off,
    cancellation,
    given_up,
    move,
    offered,
    paid,
    plan_change,
    seat_change,
    some_id,
    switch,
    unpaid,
)


class Note(msgspec.Struct):
    text: str


def notes(name: str, *texts: str, updates: bool = False) -> RowBranch:
    """A branch that writes the same for each booking."""
    return RowBranch(
        name=name,
        events=(HoldBooked,),
        rows=lambda _happened: [Note(text) for text in texts],
        columns="text text",
        sql=f"insert into {name} select r.text from $rows r",
        updates=updates,
    )


def test_no_statement_is_kept_ready_with_what_is_seldom_written() -> None:
    often, seldom = notes("often", "a"), notes("seldom", "b")
    branches = RowBranches([often, msgspec.structs.replace(seldom, seldom=True)])
    assert branches.usual() == [0b01, 0b11]  # All together serve for whatever else comes.
    assert RowBranches([often, seldom]).usual() == [0b11]


def _names(branches: RowBranches, present: int) -> list[str]:
    _, text = branches.statement(present)
    return re.findall(r"write_(\w+) as", text)


_MADE = booking("A1", "A2")


@pytest.mark.parametrize(
    ("happened", "names", "alone"),
    [
        (
            _MADE,
            [
                *("ledger_sales", "loyalty_due", "bookings", "payments", "seats"),
                *("bookings_told", "invoices_due"),
            ],
            False,
        ),
        (
            cancellation(_MADE),
            [
                *("promo_uses", "payments_reduced", "payments_carried", "refunds_made"),
                "ledger_cancelled",
                *("seats_given_back", "bookings_reduced", "bookings_told", "invoices_due"),
            ],
            True,
        ),
        (
            seat_change(_MADE, {"A1": "A2"}),
            [
                *("payments_reduced", "payments_carried", "refunds_made", "ledger_cancelled"),
                *("loyalty_due", "bookings_told"),
                *("seats_left", "seats_left_again", "seats_chosen", "bookings_changed"),
                "tickets_reissued",
            ],
            True,
        ),
        (plan_change(2), ["switched"], True),
        (switch(paused=True), ["switched"], True),
        (switch(paused=False), ["switched"], True),
    ],
)
def test_an_event_brings_rows_of_its_branches_alone(
    happened: Happened, names: list[str], alone: bool
) -> None:
    rows = BRANCHES.rows_of(1, happened)
    assert rows is not None
    assert _names(BRANCHES, rows.branches) == names
    assert rows.alone is alone


OF_SHOWTIMES = {"switched", "screens", "jobs_of_showtimes", "showtimes_told", "waitlist_offers"}
"""What no booking writes."""

OF_PENDING = {"ledger_paid"} | {
    f"pending_{name}"
    for name in (
        *("decided", "payments_decided", "seats_decided"),
        *("cancelled", "payments_cancelled", "seats_cancelled", "moved"),
    )
}
"""What is written of bookings that wait for their payment."""

OF_EXCHANGES = {"exchanges_committed", "exchanges_paid", "ledger_exchanged"} | {
    branch.name for branch in EXCHANGE_BRANCHES
}

OF_CHANGES = {branch.name for branch in (*CHANGE_BRANCHES, *TICKET_BRANCHES)}

OTHERS = OF_SHOWTIMES | OF_PENDING | OF_EXCHANGES | OF_CHANGES
"""Branches without rows for new bookings and for those that are cancelled."""


def test_a_node_has_the_branches_of_all_features() -> None:
    assert set(row_branches().branches) == set(BRANCHES.branches)


@pytest.mark.parametrize("branch", BRANCHES.branches, ids=lambda branch: branch.name)
def test_a_branch_declares_fields_that_its_rows_have(branch: RowBranch) -> None:
    made = booking("A1")
    whole = [made, cancellation(made), plan_change(2), move(), called_off(), switch(paused=True)]
    whole += [paid(made), unpaid(made), seat_change(made, {"A1": "A2"}, 5), given_up(made)]
    whole.append(offered())
    rows = [
        row
        for happened in whole
        if isinstance(happened.event, branch.events)
        for row in branch.rows(happened)
    ]
    assert rows
    for row in rows:
        assert set(branch.column_names) <= set(row.__struct_fields__)


def test_holds_alone_are_appended_as_if_there_were_no_branches() -> None:
    one, two = (append(some_id(), 1, 0, next_due_us=5) for _ in range(2))
    longer = append(some_id(), 1, 0, events=2)
    for parts, text in [
        ([one], sql.APPEND_TO_ONE),
        ([one, two], sql.APPEND_ONE_EACH),
        ([one, longer], sql.APPEND),
    ]:
        query, arguments = append_call(batch(*parts), BRANCHES)
        assert query == text
        assert (query, arguments) == append_call(batch(*parts), RowBranches())
        assert len(set(re.findall(r"\$\d+", query))) == len(arguments)
    assert SeatsHeld not in BRANCHES.events


def test_a_batch_has_the_clauses_and_parameters_of_the_branches_that_are_there() -> None:
    made = booking("A1")
    parts = batch(
        append(some_id(), 1, 0, booking("A1")),
        append(some_id(), 1, 3, cancellation(made)),
        append(some_id(), 1, 0, events=2),
    )
    query, arguments = append_call(parts, BRANCHES)
    names = [one.name for one in BRANCHES.branches if one.name not in OTHERS]
    assert re.findall(r"write_(\w+) as", query) == names
    numbers = {int(number) for number in re.findall(r"\$(\d+)", query)}
    assert numbers == set(range(1, len(arguments) + 1))
    told: Any = msgspec.json.decode(arguments[sql.EVENT_PARAMETERS + names.index("bookings_told")])
    assert [(row["position"], row["seq"], row["kind"]) for row in told] == [
        (1, 1, "booking.confirmed"),
        (2, 4, "booking.cancelled"),
    ]


def test_a_branch_without_rows_for_an_event_is_left_out() -> None:
    branches = RowBranches([notes("one"), notes("two", "x"), notes("three", updates=True)])
    rows = branches.rows_of(1, booking("A1"))
    assert rows is not None
    assert _names(branches, rows.branches) == ["two"]
    assert not rows.alone
    assert RowBranches([notes("one")]).rows_of(1, booking("A1")) is None


def test_sets_of_branches_beyond_the_limit_share_the_statement_of_all() -> None:
    branches = RowBranches([notes(f"n{number}", "x") for number in range(8)])
    every = 2**8 - 1
    sets = range(1, STATEMENTS_LIMIT + 1)
    for present in sets:
        assert branches.statement(present)[0] == present
    assert branches.statement(every - 1)[0] == every
    assert branches.statement(every - 2)[0] == every
    texts = {branches.statement(present)[1] for present in range(1, every + 1)}
    assert len(texts) == STATEMENTS_LIMIT + 1
    # Whoever has no rows there writes none.
    rows = branches.rows_of(1, booking("A1"))
    assert rows is not None
    few = msgspec.structs.replace(rows, branches=2, rows=rows.rows[1:2])
    part = Append(some_id(), 1, 0, 1, [NewEvent(b"", 1, NEVER_US, few)])
    assert [text != "[]" for text in branches.arguments(every, [part])] == [
        number == 1 for number in range(8)
    ]


def test_rows_beyond_the_limit_are_a_bug_of_their_branch() -> None:
    fits = RowBranches([notes("large", "x" * (ROWS_LIMIT_BYTES - 100))])
    assert fits.rows_of(1, booking("A1")) is not None
    larger = RowBranches([notes("large", *["x" * (ROWS_LIMIT_BYTES // 2)] * 2)])
    with pytest.raises(ValueError, match="too many rows for large"):
        larger.rows_of(1, booking("A1"))


@pytest.mark.parametrize(
    "branches",
    [
        [notes("same", "x"), notes("same", "y")],
        [msgspec.structs.replace(notes("unread", "x"), sql="insert into unread values (1)")],
        [msgspec.structs.replace(notes("placed", "x"), columns="seq bigint, text text")],
        [notes(f"n{number}", "x") for number in range(branches_module.BRANCHES_LIMIT + 1)],
    ],
)
def test_branches_that_cannot_go_into_one_statement_are_refused(branches: list[RowBranch]) -> None:
    with pytest.raises(AssertionError):
        RowBranches(branches)


def test_text_of_clients_is_in_parameters_only() -> None:
    nasty = "'); drop table bookings; -- \\ \" \u2028"
    made = msgspec.structs.replace(booking("A1", code=nasty), request_key=b"\x00\xff")
    query, arguments = append_call([append(some_id(), 1, 0, made)], BRANCHES)
    assert nasty not in query
    (row,) = next(
        rows
        for text in arguments[sql.EVENT_PARAMETERS :]
        if "code" in (rows := msgspec.json.decode(text))[0]
    )
    assert (row["code"], row["request_key"]) == (nasty, "\\x00ff")
