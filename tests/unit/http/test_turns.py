"""Who may begin in a step of the loop, who waits, and who has waited too long."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from cinema.http.turn_metrics import turn_families
from cinema.http.turns import LATE_PER_STEP, LATE_S, PROBES_PER_STEP, Turns
from tests.support.steps import Steps

PER_STEP = 3


class Client:
    """Somebody in line who notes when the turn comes."""

    def __init__(self, name: str, seen: list[str], *, gone: bool = False) -> None:
        self.name = name
        self.gone = gone
        self._seen = seen

    def take_turn(self, *, is_late: bool) -> bool:
        if self.name == "broken":
            raise RuntimeError(self.name)
        if not self.gone:
            self._seen.append(self.name + " late" * is_late)
        return not self.gone


class House:
    """Turns, their loop, and what came to pass."""

    def __init__(self) -> None:
        self.loop = Steps()
        self.turns = Turns(self.loop, per_step=PER_STEP)
        self.seen: list[str] = []

    def join(self, *names: str, is_probe: bool = False) -> None:
        for name in names:
            self.turns.join(Client(name, self.seen), is_probe=is_probe)

    def steps(self) -> Iterator[list[str]]:
        """What each step brings, until nothing is scheduled."""
        while self.loop.scheduled:
            before = len(self.seen)
            self.loop.step()
            yield self.seen[before:]


@pytest.fixture
def house() -> House:
    return House()


def test_a_step_serves_its_share_of_the_line_in_order_of_arrival(house: House) -> None:
    house.turns.left = 0
    house.join(*"abcdefg")
    assert (house.seen, house.turns.waiting) == ([], 7)
    assert list(house.steps()) == [["a", "b", "c"], ["d", "e", "f"], ["g"]]
    assert house.turns.waiting == 0


def test_no_turn_is_left_while_anybody_waits_and_then_what_the_step_has_not_used(
    house: House,
) -> None:
    house.turns.left = 0
    house.join(*"abcd")
    house.loop.step()
    assert house.turns.left == 0
    house.loop.step()
    assert house.turns.left == PER_STEP - 1


def test_who_has_waited_too_long_is_refused_behind_those_who_have_not(house: House) -> None:
    house.join(*"abcd")
    house.loop.now_s += LATE_S + 0.001
    house.join("e", "f")
    assert next(house.steps()) == ["e", "f", "a late", "b late", "c late", "d late"]


def test_who_has_waited_just_long_enough_is_served(house: House) -> None:
    house.join("a")
    house.loop.now_s += LATE_S
    house.loop.step()
    assert house.seen == ["a"]


def test_refusals_never_take_the_turns_of_those_who_can_be_served(house: House) -> None:
    """A crowd that returns at once when refused would otherwise be late for ever."""
    house.join(*["x"] * 10 * LATE_PER_STEP)
    house.loop.now_s += 2 * LATE_S
    for _ in range(5):
        house.join(*"abc")
        house.loop.step()
        assert [name for name in house.seen if name != "x late"] == list("abc")
        assert house.seen.count("x late") == LATE_PER_STEP
        house.seen.clear()


def test_who_is_gone_takes_nobodys_turn(house: House) -> None:
    for number in range(2 * PER_STEP):
        house.turns.join(Client(f"gone {number}", house.seen, gone=True))
    house.join(*"abc")
    house.loop.step()
    assert house.seen == ["a", "b", "c"]


def test_probes_go_first_are_bounded_and_never_late(house: House) -> None:
    house.join("a")
    house.join(*["p"] * (PROBES_PER_STEP + 1), is_probe=True)
    house.loop.now_s += 10 * LATE_S
    house.join("b")
    first, second = house.steps()
    assert first[:PROBES_PER_STEP] == ["p"] * PROBES_PER_STEP
    assert first.count("p") == PROBES_PER_STEP
    assert second[0] == "p"
    assert "b" in second


def test_one_failure_keeps_nobody_waiting(house: House) -> None:
    house.join("broken", "a")
    with pytest.raises(RuntimeError):
        house.loop.step()
    house.loop.step()
    assert house.seen == ["a"]


async def test_a_task_waits_for_its_turn_and_learns_whether_it_is_late(house: House) -> None:
    in_time = asyncio.ensure_future(house.turns.wait())
    await asyncio.sleep(0)
    house.loop.step()
    assert await in_time is False
    late = asyncio.ensure_future(house.turns.wait())
    await asyncio.sleep(0)
    house.loop.now_s += 2 * LATE_S
    house.loop.step()
    assert await late is True


async def test_a_task_that_waits_no_more_takes_nobodys_turn(house: House) -> None:
    given_up = asyncio.ensure_future(house.turns.wait())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.wait([given_up])
    house.join(*"abc")
    house.loop.step()
    assert house.seen == ["a", "b", "c"]


def test_line_is_told_as_metrics(house: House) -> None:
    def told() -> dict[str, float]:
        return {
            sample.name: sample.value
            for family in turn_families(house.turns)()
            for sample in family.samples
        }

    assert told()["cinema_http_waiting_seconds"] == 0.0
    house.join("a", "b")
    house.loop.now_s += 0.25
    house.turns.refused = 4
    assert told() == {
        "cinema_http_waiting": 2,
        "cinema_http_waiting_seconds": 0.25,
        "cinema_http_waited_too_long_total": 4,
    }
