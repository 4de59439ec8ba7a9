import base64
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.cursors import decode_cursor, encode_cursor
from cinema.domain.paging import BY_MOMENT, LATEST_US
from cinema.domain.times import from_us

BY_TEXT = msgspec.json.Decoder(tuple[str, UUID])
ID = UUID(bytes=bytes(range(16)))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_cursor_gives_back_its_position(key: str) -> None:
    assert decode_cursor(encode_cursor(key, ID), BY_TEXT) == (key, ID)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "é",
        "a" * 5000,
        base64.urlsafe_b64encode(b"[1]").decode(),
        base64.urlsafe_b64encode(b'["a","not-an-id"]').decode(),
        encode_cursor(7, ID),
    ],
)
def test_what_is_no_cursor_of_ours_is_none(cursor: str) -> None:
    assert decode_cursor(cursor, BY_TEXT) is None


@pytest.mark.parametrize("at_us", [-1, LATEST_US + 1, 1 << 62])
def test_cursor_of_a_moment_that_no_calendar_has_is_none(at_us: int) -> None:
    assert decode_cursor(encode_cursor(at_us, ID), BY_MOMENT) is None


def test_latest_moment_of_a_cursor_is_the_last_that_can_be_told() -> None:
    assert from_us(LATEST_US).year == 9999
    with pytest.raises(OverflowError):
        from_us(LATEST_US + 1)
