import base64
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.cursors import decode_cursor, encode_cursor

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
