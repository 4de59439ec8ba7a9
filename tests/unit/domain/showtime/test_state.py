from __future__ import annotations

import pytest

from cinema.domain.showtime.events import SalesPaused, encode_recorded
from cinema.domain.showtime.state import evolve
from tests.unit.domain.showtime.story import EPOCH, START_US, given, hold
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
