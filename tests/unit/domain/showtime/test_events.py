"""What journals hold must stay readable for ever: the stored bytes of each event."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    Conditions,
    Event,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    PlanChanged,
    Recorded,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsHeld,
    SeatsUnblocked,
    ShowtimeCancelled,
    TermsChanged,
    decode_recorded,
    encode_recorded,
)

HOLD, ANN, KEY = b"hold-id-16-bytes", b"customer-16-byte", b"command-16-bytes"
BOOKING, PAYMENT = b"booking-16-bytes", b"payment-16-bytes"
UNTIL_US = 1_700_000_600_000_000


def _binary(value: bytes) -> str:
    return f"c4{len(value):02x}{value.hex()}"


_HOLD, _ANN = _binary(HOLD), _binary(ANN)
_BOOKING, _PAYMENT = _binary(BOOKING), _binary(PAYMENT)
_UNTIL = "cf00060a243be18600"
_CODE = "a8" + b"7KXQ2MPA".hex()

CONDITIONS = Conditions(
    movie_id=HOLD,
    screen_id=ANN,
    starts_at_us=1,
    ends_at_us=2,
    clear_at_us=3,
    local_date="2026-06-01",
    base_price_minor=1000,
    price_overrides=(("vip", 300),),
    format="2D",
    language="en",
    sales_opens_at_us=4,
    sales_closes_at_us=5,
    rules="{}",
)
_CONDITIONS = (
    f"9d {_HOLD} {_ANN} 01 02 03 aa{b'2026-06-01'.hex()} cd03e8 9192a3766970cd012c a23244 a2656e "
    "04 05 a27b7d"
)

# Arrays of tag and fields: 00 and cd012c are the seats 0 and 300; cd03e8 and ce00011170 are
# the prices 1000 and 70000; ff is -1.
STORED: list[tuple[AnyEvent, str]] = [
    (
        SeatsHeld(HOLD, ANN, (0, 300), (1000, 70_000), UNTIL_US),
        f"9601 {_HOLD} {_ANN} 9200cd012c 92cd03e8ce00011170 {_UNTIL}",
    ),
    (
        HoldExtended(HOLD, ANN, (0,), (1000,), UNTIL_US),
        f"9602 {_HOLD} {_ANN} 9100 91cd03e8 {_UNTIL}",
    ),
    (
        HoldReleased(HOLD, ANN, (0,), (1000,), (300,), (70_000,), UNTIL_US),
        f"9803 {_HOLD} {_ANN} 9100 91cd03e8 91cd012c 91ce00011170 {_UNTIL}",
    ),
    (HoldExpired(HOLD, (0, 300)), f"9304 {_HOLD} 9200cd012c"),
    (
        HoldBooked(HOLD, ANN, (0,), (1000,), BOOKING, "7KXQ2MPA", PAYMENT, "demo", "EUR"),
        f"9a05 {_HOLD} {_ANN} 9100 91cd03e8 {_BOOKING} {_CODE} {_PAYMENT} a464656d6f a3455552",
    ),
    (
        BookingCancelled(BOOKING, ANN, (0,), (1000,), (), ()),
        f"9706 {_BOOKING} {_ANN} 9100 91cd03e8 90 90",
    ),
    (SeatsBlocked((0, 1)), "9207 920001"),
    (SeatsUnblocked((1,)), "9208 9101"),
    (SalesPaused(), "9109"),
    (SalesResumed(), "910a"),
    (PlanChanged(1, 2, 3, (0, -1, 2), 7), "970b 01 02 03 9300ff02 07 c0"),
    (
        TermsChanged(2, CONDITIONS, UNTIL_US, 0, (1, 2)),
        f"960c 02 {_CONDITIONS} {_UNTIL} 00 920102",
    ),
    (
        ShowtimeCancelled(3, "ill", (HOLD,), (0, 300), 4, KEY),
        f"970d 03 a3696c6c 91{_HOLD} 9200cd012c 04 {_binary(KEY)}",
    ),
]

_EACH = pytest.mark.parametrize(
    ("event", "stored"), [pytest.param(*case, id=type(case[0]).__name__) for case in STORED]
)


def _payload(stored: str) -> bytes:
    return bytes.fromhex(f"93 {_binary(KEY)} {_binary(b'finger-8')} {stored}")


@_EACH
def test_the_stored_form_of_an_event_is_stable(event: AnyEvent, stored: str) -> None:
    assert encode_recorded(KEY, b"finger-8", event) == _payload(stored)


@_EACH
def test_a_stored_event_is_read_back(event: AnyEvent, stored: str) -> None:
    assert decode_recorded(_payload(stored)) == Recorded(KEY, b"finger-8", event)


def test_a_change_of_plan_from_before_terms_could_change_is_read() -> None:
    payload = _payload("950b 01 02 03 9300ff02")
    recorded = Recorded(KEY, b"finger-8", PlanChanged(1, 2, 3, (0, -1, 2)))
    assert decode_recorded(payload) == recorded
    assert (recorded.event.terms_version, recorded.event.moved) == (0, None)


def test_a_change_of_terms_that_does_not_say_which_starts_were_told_is_read() -> None:
    payload = _payload(f"950c 02 {_CONDITIONS} {_UNTIL} 00")
    recorded = Recorded(KEY, b"finger-8", TermsChanged(2, CONDITIONS, UNTIL_US, 0, (0, 0)))
    assert decode_recorded(payload) == recorded


def test_an_event_of_the_clock_has_no_command() -> None:
    payload = encode_recorded(b"", b"", SalesPaused())
    assert payload == bytes.fromhex("93 c400 c400 9109")
    assert decode_recorded(payload) == Recorded(b"", b"", SalesPaused())


def test_every_kind_of_event_has_its_stored_form_here() -> None:
    kinds = {type(event) for event, _ in STORED}
    assert kinds == set(get_args(AnyEvent)) == set(Event.__subclasses__())


@pytest.mark.parametrize(
    "stored",
    [
        "910e",  # a tag of a later version
        "9100",
        "9201",
        f"9304 {_HOLD} 91a141",  # a text for a seat
        "80",
    ],
)
def test_a_payload_that_is_no_known_event_is_refused(stored: str) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_recorded(_payload(stored))


def test_a_cut_payload_is_refused() -> None:
    payload = _payload(STORED[0][1])
    for length in range(len(payload)):
        with pytest.raises(msgspec.DecodeError):
            decode_recorded(payload[:length])
