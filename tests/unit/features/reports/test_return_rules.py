"""What stands in distributor returns, against a naive count of all that was ever told."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.rejections import Refused
from cinema.features.reports.rules import DAYS_MAX, as_csv, check_period, lines_of
from cinema.features.reports.shapes import Figures, Return

DAY = date(2026, 6, 1)
HALL = UUID(int=1)


def figures(day: int, admissions: int, gross: int, *, type_: str = "adult") -> Figures:
    tax = gross * 7 // 107
    return Figures(
        day=DAY + timedelta(days=day),
        screen_id=HALL,
        screen="Hall",
        type=type_,
        admissions=admissions,
        gross=gross,
        tax=tax,
        net=gross - tax,
    )


def drawn(first: int, last: int, lines: list[Figures], number: int = 1) -> Return:
    return Return(
        id=UUID(int=number),
        number=number,
        cinema_id=UUID(int=7),
        cinema="=Aurora",
        movie_id=UUID(int=8),
        film='The "End", Part 2',
        first=DAY + timedelta(days=first),
        last=DAY + timedelta(days=last),
        drawn_at=None,
        currency="EUR",
        lines=lines,
        admissions=0,
        gross=0,
        tax=0,
        net=0,
    )


def told(now: list[Figures], earlier: list[Return], first: int, last: int) -> list[Figures]:
    return lines_of(now, earlier, DAY + timedelta(days=first), DAY + timedelta(days=last))


def test_the_first_return_has_the_figures_of_its_days() -> None:
    now = [figures(0, 2, 2000), figures(1, 1, 500, type_="child"), figures(7, 9, 9000)]
    assert told(now, [], 0, 6) == now[:2]


def test_a_refund_after_a_return_is_a_correction_in_the_next() -> None:
    first = drawn(0, 6, [figures(0, 2, 2000), figures(1, 1, 500)])
    (correction, new) = told(
        [figures(0, 1, 1000), figures(1, 1, 500), figures(8, 1, 700)], [first], 7, 13
    )
    assert (correction.admissions, correction.gross, correction.correction) == (-1, -1000, True)
    assert (new.admissions, new.gross, new.correction) == (1, 700, False)


def test_what_is_gone_altogether_is_taken_back_and_told_once() -> None:
    first = drawn(0, 6, [figures(0, 2, 2000)])
    (gone,) = told([], [first], 7, 13)
    assert (gone.screen, gone.admissions, gone.gross, gone.net) == ("Hall", -2, -2000, -1870)
    second = drawn(7, 13, [gone], 2)
    assert told([], [first, second], 14, 20) == []


@given(
    worlds=st.lists(
        st.dictionaries(st.integers(0, 9), st.tuples(st.integers(1, 9), st.integers(0, 9999))),
        min_size=1,
        max_size=5,
    ),
    ends=st.lists(st.integers(0, 9), min_size=5, max_size=5),
)
def test_all_that_was_told_of_a_day_is_what_there_is(
    worlds: list[dict[int, tuple[int, int]]], ends: list[int]
) -> None:
    earlier: list[Return] = []
    for number, (world, end) in enumerate(zip(worlds, ends, strict=False), 1):
        now = [figures(day, *sold) for day, sold in world.items()]
        earlier.append(drawn(0, end, told(now, earlier, 0, end), number))
        covered = max(ends[:number])
        for day in range(covered + 1):
            lines = [
                line
                for one in earlier
                for line in one.lines
                if line.day == DAY + timedelta(days=day)
            ]
            sums = (sum(line.admissions for line in lines), sum(line.gross for line in lines))
            assert sums == world.get(day, (0, 0))


def test_a_return_is_written_as_csv() -> None:
    text = as_csv(drawn(0, 6, [figures(0, 2, 2000)])).decode()
    assert text.splitlines() == [
        "number,cinema,film,day,screen,ticket_type,correction,admissions,gross,tax,net,currency",
        '1,\'=Aurora,"The ""End"", Part 2",2026-06-01,Hall,adult,no,2,2000,130,1870,EUR',
    ]
    assert len(as_csv(drawn(0, 6, [])).splitlines()) == 1


def test_periods_that_cannot_be() -> None:
    check_period(DAY, DAY, DAY + timedelta(days=1))
    check_period(DAY, DAY + timedelta(days=DAYS_MAX - 1))
    for first, last, today in (
        (DAY, DAY - timedelta(days=1), None),
        (DAY, DAY + timedelta(days=DAYS_MAX), None),
        (DAY, DAY, DAY),
    ):
        with pytest.raises(Refused):
            check_period(first, last, today)
