from __future__ import annotations

import pytest

from cinema.domain.showtime import state as state_module
from cinema.domain.showtime.commands import AnyCommand
from cinema.domain.showtime.events import BookingCancelled, SalesPaused, encode_recorded
from cinema.domain.showtime.state import Surplus, change, evolve
from tests.unit.domain.showtime.story import (
    EPOCH,
    START_US,
    book,
    given,
    hold,
    id_of,
    release,
)
from tests.unit.domain.showtime.world import contents


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_an_event_that_does_not_follow_is_refused_and_changes_nothing(seq: int) -> None:
    state = given(hold("A1")).state
    before = contents(state)
    event = SalesPaused()
    payload = encode_recorded(b"", b"", event)
    with pytest.raises(ValueError, match=f"event {seq} cannot follow 1"):
        evolve(state, seq, EPOCH, START_US, b"", b"", event, payload)
    assert contents(state) == before


@pytest.mark.parametrize("steps", [(hold("A1"),), (hold("A1"), book())], ids=["none", "another"])
def test_a_booking_that_is_not_there_cannot_be_cancelled(steps: tuple[AnyCommand, ...]) -> None:
    state = given(*steps).state
    event = BookingCancelled(id_of("stranger"), id_of("anna"), (0,), (1000,), (), ())
    with pytest.raises(KeyError):
        change(state, START_US, event)


def test_what_has_left_memory_already_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "ENDED_HOLDS_KEPT", 0)
    state = given(hold("A1"), release()).state
    surplus = Surplus(state, START_US)
    assert len(surplus.ended) == 1
    for _ in range(2):
        surplus.remove_from(state)
        assert not state.ended
