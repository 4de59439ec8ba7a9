"""UUIDv7s: put together one by one, or many tails at once."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.ids import (
    RANDOM_BITS,
    TAIL_BYTES,
    TIME_BYTES,
    format_id,
    new_id,
    parse_id,
    tails,
)
from cinema.features.ids import IdSource

NOW_US = 1_780_000_000_123_456


@given(st.binary(min_size=3 * TAIL_BYTES, max_size=3 * TAIL_BYTES))
def test_tails_are_those_of_ids_made_one_by_one(drawn: bytes) -> None:
    made = tails(drawn)
    assert len(made) == len(drawn)
    for start in range(0, len(made), TAIL_BYTES):
        tail = made[start : start + TAIL_BYTES]
        raw = int.from_bytes(drawn[start : start + TAIL_BYTES], "big")
        rand_a, rand_b = raw >> 64 & 0xFFF, raw & 0x3FFF_FFFF_FFFF_FFFF
        assert tail == new_id(NOW_US, rand_a << 62 | rand_b)[TIME_BYTES:]


def test_an_id_has_its_time_and_is_new() -> None:
    source = IdSource(lambda: NOW_US)
    made = [source.next_id() for _ in range(2000)]
    assert len(set(made)) == len(made)
    for raw in made:
        assert raw[:TIME_BYTES] == new_id(NOW_US, 2**RANDOM_BITS - 1)[:TIME_BYTES]
        named = UUID(bytes=raw)
        assert (named.version, named.variant) == (7, RFC_4122)
        assert parse_id(format_id(raw)) == raw == parse_id(str(named).upper())
