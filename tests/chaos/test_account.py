"""What the account of a run says of requests and times, and what a seed says of the faults."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from tests.chaos.account import LOST, ChaosHistory, SlotTimes, account_of, longest_gap_s, steps_of
from tests.chaos.faults import CALM, KINDS, TOGETHER, schedule
from tests.chaos.run import surprises
from tests.support.history import UNSENT, Attempt, Request

S = 1_000_000_000


def attempt(history: ChaosHistory, sent_s: float, answered_s: float | None, **told: Any) -> Attempt:
    made = history.begin(Request(kind="hold", showtime_id="s", customer=b""))
    made.sent_ns = round(sent_s * S)
    made.answered_ns = None if answered_s is None else round(answered_s * S)
    made.data = told.get("data")
    made.code = told.get("code")
    return made


@pytest.mark.parametrize(
    ("moments", "gap_s"),
    [([], 10.0), ([2, 4], 6.0), ([9], 9.0), ([1, 2, 30], 8.0)],
)
def test_the_longest_gap_counts_from_border_to_border(moments: list[int], gap_s: float) -> None:
    assert longest_gap_s([moment * S for moment in moments], 0, 10 * S) == gap_s


@pytest.fixture
def history() -> ChaosHistory:
    return ChaosHistory(lambda: 6 * S)


def test_failures_are_what_is_neither_a_success_nor_a_usual_refusal(
    history: ChaosHistory,
) -> None:
    attempt(history, 1, 2, data={})
    attempt(history, 2, 3, code="SEAT_UNAVAILABLE")
    attempt(history, 3, 4, code="RETRY")
    attempt(history, 4, 5, code=UNSENT)
    history.lose(attempt(history, 5, None))
    attempt(history, 6, None)  # was under way at the end
    attempt(history, 9, 12, data={})  # of the next slot
    times = SlotTimes(CALM)
    times.began_ns, times.ended_ns = 0, 10 * S
    account = account_of(history, times, ["s"], 0)
    assert account.requests == 5
    assert account.failed == {"RETRY": 1, UNSENT: 1, LOST: 1}
    assert account.longest_gap_s == 7.0
    steps = steps_of(history, 0)
    assert sum(step.served for step in steps) == 3
    assert [step.at_s for step in steps if step.failed] == [4.0, 6.0]
    assert [step.at_s for step in steps if step.refused] == [5.0]


def test_a_seed_says_what_happens_and_every_round_has_every_kind() -> None:
    first, again, other = (list(islice(schedule(seed), 3)) for seed in (7, 7, 8))
    assert first == again
    assert first != other
    for slots in first:
        assert {slot.kind for slot in slots} == {"calm", *KINDS, TOGETHER}


def test_exceptions_in_logs_are_told_but_not_that_postgres_was_away() -> None:
    log = r"""
{"event":"request_finished"}
{"event":"a","exception":"Traceback (most recent\n  x\nValueError: y"}
{"event":"b","exception":"Traceback (most recent\nConnectionRefusedError: z"}
Traceback (most recent call last):
"""
    assert list(surprises(log)) == [
        "a: ValueError: y",
        "outside of the log: Traceback (most recent call last):",
    ]
