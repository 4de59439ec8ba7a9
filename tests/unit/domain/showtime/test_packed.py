from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cinema.domain.limits import PRICE_LIMIT_MINOR
from cinema.domain.seatmap import MAX_SEATS
from cinema.domain.showtime.packed import (
    SeatGroup,
    book_and_taken,
    customer_of,
    expiry_of,
    mark_of,
    pack,
    priced_by,
    seats_in,
    unpack,
)

_MOMENTS = st.integers(0, 2**62)
_SEATS = st.lists(
    st.tuples(st.integers(0, MAX_SEATS - 1), st.integers(0, PRICE_LIMIT_MINOR)), max_size=100
)


@given(
    customer=st.binary(min_size=16, max_size=16),
    placed_at_us=_MOMENTS,
    expires_at_us=_MOMENTS,
    priced=_SEATS,
)
def test_a_group_comes_back_as_it_was_packed(
    customer: bytes, placed_at_us: int, expires_at_us: int, priced: list[tuple[int, int]]
) -> None:
    seats = tuple(seat for seat, _ in priced)
    prices = tuple(price for _, price in priced)
    packed = pack(customer, placed_at_us, expires_at_us, seats, prices)
    assert unpack(packed) == SeatGroup(customer, placed_at_us, expires_at_us, seats, prices)
    assert customer_of(packed) == customer
    assert expiry_of(packed) == expires_at_us
    assert len(packed) == 32 + 6 * len(seats)
    assert (seats_in(packed), mark_of(packed), book_and_taken(packed)) == (len(seats), b"", (0, 0))


@given(
    count=st.integers(0, 100), version=st.integers(1, 2**32 - 1), taken=st.integers(0, MAX_SEATS)
)
def test_a_group_with_a_mark_is_the_same_group(count: int, version: int, taken: int) -> None:
    seats, prices = tuple(range(count)), (7,) * count
    plain = pack(b"0123456789abcdef", 1, 2, seats, prices)
    marked = pack(b"0123456789abcdef", 1, 2, seats, prices, priced_by(version, taken))
    assert (unpack(marked), seats_in(marked)) == (unpack(plain), count)
    assert (expiry_of(marked), customer_of(marked)) == (expiry_of(plain), customer_of(plain))
    assert book_and_taken(marked) == (version, taken)
    assert pack(*unpack(marked), mark_of(marked)) == marked


def test_the_layout_of_a_mark_is_stable() -> None:
    packed = pack(b"0123456789abcdef", 1, 2, (3,), (6,), priced_by(0x01020304, 0x0506))
    assert packed[-8:].hex(" ") == "04 03 02 01 06 05 00 00"


def test_the_layout_of_a_packed_group_is_stable() -> None:
    packed = pack(b"0123456789abcdef", 1, 2, (3, 0x0405), (6, 0x0708090A))
    assert packed.hex(" ") == (
        "30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 "
        "01 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00 "
        "03 00 06 00 00 00 05 04 0a 09 08 07"
    )


def test_one_seat_is_packed_as_several_are() -> None:
    packed = pack(b"0123456789abcdef", 1, 2, (3,), (6,))
    assert packed == pack(b"0123456789abcdef", 1, 2, (3, 4), (6, 7))[:-6]
