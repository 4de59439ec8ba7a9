"""What a caller makes of an outcome, and how it names its command."""

from __future__ import annotations

import pytest

from cinema.actors.asking import NOT_FOUND, command_key, refusal_of
from cinema.actors.messages import NoShowtime, Outcome, ReadSeats, Unavailable
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import Rejection
from tests.support.actors.virtual_time import in_virtual_time
from tests.support.actors.world import audited_world

TAKEN = Rejection(code="SEAT_UNAVAILABLE", details={"seats": ["A1"]})


@pytest.mark.parametrize(
    ("outcome", "refusal"),
    [
        pytest.param(TAKEN, TAKEN, id="what the showtime decided stays"),
        pytest.param(
            Unavailable(code="OVERLOADED", retry_after_s=3),
            Rejection(code="OVERLOADED", details={"retry_after_s": 3}),
            id="when to come again is told",
        ),
        pytest.param(
            Unavailable(code="INTERNAL"), Rejection(code="INTERNAL"), id="a fault tells nothing"
        ),
        pytest.param(NoShowtime(), NOT_FOUND, id="no showtime"),
    ],
)
def test_an_outcome_without_success_is_a_refusal(outcome: Outcome, refusal: Rejection) -> None:
    assert refusal_of(outcome) == refusal


@in_virtual_time
async def test_an_answer_to_another_question_is_a_fault_of_the_caller() -> None:
    async with audited_world() as world:
        showtime = world.showtime()
        seen = await (await world.warm_node(showtime)).ask(showtime, ReadSeats())
    with pytest.raises(TypeError, match="SeatsSeen is not an answer to this request"):
        refusal_of(seen)


def test_a_key_names_the_command() -> None:
    key = IdempotencyKey(digest=b"d" * 16, fingerprint=b"f" * 16)
    assert command_key(key) == (b"d" * 16, b"f" * 16)


def test_without_a_key_every_command_has_an_id_of_its_own() -> None:
    (first, print_of_first), (second, _) = command_key(None), command_key(None)
    assert len(first) == 16
    assert first != second
    assert print_of_first == b""
