"""What journals hold must stay readable for ever: the stored bytes of each event."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from cinema.domain.showtime.events import (
    AnyEvent,
    BookingCancelled,
    Event,
    HoldBooked,
    HoldExpired,
    HoldExtended,
    HoldReleased,
    HoldUsed,
    Offer,
    OrderLine,
    PaymentEnded,
    PaymentReturned,
    PaymentStarted,
    PlanChanged,
    Recorded,
    SalesPaused,
    SalesResumed,
    SeatsBlocked,
    SeatsChanged,
    SeatsHeld,
    SeatsUnblocked,
    ShowConditions,
    ShowtimeCancelled,
    SoldBy,
    TermsChanged,
    WaitlistJoined,
    WaitlistLeft,
    decode_recorded,
    encode_recorded,
    refund_of,
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
_DEMO_EUR = "a464656d6f a3455552"

CONDITIONS = ShowConditions(
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

SOLD_BY = SoldBy(HOLD, 1000, (("vip", 300),), "2D", 1, 9, (("A1", "vip"),))
_SOLD_BY = f"97 {_HOLD} cd03e8 9192a3766970cd012c a23244 01 09 9192a24131a3766970"

LINES = (OrderLine("fee", "s", "S", 50, 1, True, 1900, 0, 8),)
_LINES = "9199 a3666565 a173 a153 32 01 c3 cd076c 00 08"

_BASIS = f"070105{_SOLD_BY}"
_CHANGED = f"9194{_HOLD}910191039104 91a56368696c64 9134 {_PAYMENT} a464656d6f 06 cd02bc"

OFFERS = (Offer(HOLD, ANN, (1,), (300,), UNTIL_US, 7, 5, 1),)
_OFFERS = f"9198 {_HOLD} {_ANN} 9101 91cd012c {_UNTIL} 07 05 01"

_SOLD = f"32 3c 08 91a56368696c64 9134 {_LINES} a354454e"

# Arrays of tag and fields: 00 and cd012c are the seats 0 and 300; cd03e8 and ce00011170 are
# the prices 1000 and 70000; ff is -1.
STORED: list[tuple[AnyEvent, str]] = [
    (
        SeatsHeld(HOLD, ANN, (0, 300), (1000, 70_000), UNTIL_US, 300, 5, 3),
        f"9901 {_HOLD} {_ANN} 9200cd012c 92cd03e8ce00011170 {_UNTIL} cd012c 05 03",
    ),
    (
        HoldExtended(HOLD, ANN, (0,), (1000,), UNTIL_US),
        f"9602 {_HOLD} {_ANN} 9100 91cd03e8 {_UNTIL}",
    ),
    (
        HoldReleased(HOLD, ANN, (0,), (1000,), (300,), (70_000,), UNTIL_US, OFFERS),
        f"9903 {_HOLD} {_ANN} 9100 91cd03e8 91cd012c 91ce00011170 {_UNTIL} {_OFFERS}",
    ),
    (HoldExpired(HOLD, (0, 300)), f"9404 {_HOLD} 9200cd012c 90"),
    (HoldExpired(HOLD, (0, 300), OFFERS), f"9404 {_HOLD} 9200cd012c {_OFFERS}"),
    (
        HoldBooked(
            *(HOLD, ANN, (0,), (1000,), BOOKING, "7KXQ2MPA", PAYMENT, "demo", "EUR"),
            *(False, 50, 60, 8, ("child",), (52,), LINES, "TEN", 7, 1, 5, SOLD_BY, 2),
        ),
        f"dc001705 {_HOLD} {_ANN} 9100 91cd03e8 {_BOOKING} {_CODE} {_PAYMENT}{_DEMO_EUR}c2{_SOLD}"
        + _BASIS
        + "02",
    ),
    (
        BookingCancelled(BOOKING, ANN, (0,), (1000,), (), ()),
        f"9c06 {_BOOKING} {_ANN} 9100 91cd03e8 90 90 ff 00 c400 00 90",
    ),
    (
        BookingCancelled(BOOKING, ANN, (0,), (1000,), (), (), 300),
        f"9c06 {_BOOKING} {_ANN} 9100 91cd03e8 90 90 cd012c 00 c400 00 90",
    ),
    (
        BookingCancelled(BOOKING, ANN, (0,), (1000,), (), (), 300, 7, HOLD, 200, OFFERS),
        f"9c06 {_BOOKING} {_ANN} 9100 91cd03e8 90 90 cd012c 07 {_HOLD} ccc8 {_OFFERS}",
    ),
    (SeatsBlocked((0, 1)), "9207 920001"),
    (SeatsUnblocked((1,), OFFERS), f"9308 9101 {_OFFERS}"),
    (SalesPaused(), "9109"),
    (SalesResumed(), "920a 90"),
    (SalesResumed(OFFERS), f"920a {_OFFERS}"),
    (
        PlanChanged(1, 2, 3, (0, -1, 2), 7, before=SOLD_BY, offers=OFFERS, by=ANN),
        f"9a0b 01 02 03 9300ff02 07 c0 {_SOLD_BY} {_OFFERS} {_ANN}",
    ),
    (
        TermsChanged(2, CONDITIONS, UNTIL_US, 0, (1, 2), KEY, SOLD_BY, OFFERS, ANN),
        f"9a0c 02 {_CONDITIONS} {_UNTIL} 00 920102 {_binary(KEY)} {_SOLD_BY} {_OFFERS} {_ANN}",
    ),
    (
        ShowtimeCancelled(3, "ill", (HOLD,), (0, 300), 4, KEY, (BOOKING,), ANN),
        f"990d 03 a3696c6c 91{_HOLD} 9200cd012c 04 {_binary(KEY)} 91{_BOOKING} {_ANN}",
    ),
    (
        PaymentStarted(
            *(HOLD, ANN, (0,), (1000,), UNTIL_US, 1, BOOKING, "7KXQ2MPA", PAYMENT, "demo", "EUR"),
            *(9, 50, 60, 8, ("child",), (52,), LINES, "TEN"),
        ),
        f"dc00180e{_HOLD}{_ANN} 9100 91cd03e8 {_UNTIL}01{_BOOKING}{_CODE}{_PAYMENT}{_DEMO_EUR}09"
        + _SOLD
        + "000000c0",
    ),
    (
        PaymentEnded(HOLD, ANN, (0,), (1000,), BOOKING, True, OFFERS),
        f"980f {_HOLD} {_ANN} 9100 91cd03e8 {_BOOKING} c3 {_OFFERS}",
    ),
    (
        PaymentReturned(HOLD, ANN, (0,), (1000,), BOOKING, True, False, OFFERS),
        f"9910 {_HOLD} {_ANN} 9100 91cd03e8 {_BOOKING} c3 c2 {_OFFERS}",
    ),
    (
        SeatsChanged(
            *(BOOKING, ANN, (0,), (1000,), (1,), (300,), (1, 2), (300, 9), "EUR"),
            *((HoldUsed(HOLD, (1,), (3,), (4,)),), ("child",), (52,), PAYMENT, "demo", 6, 700),
            OFFERS,
        ),
        f"dc001211 {_BOOKING} {_ANN} 9100 91cd03e8 9101 91cd012c 920102 92cd012c09 a3455552"
        + _CHANGED
        + _OFFERS,
    ),
    (
        WaitlistJoined(HOLD, ANN, 2, "vip", True, False, 7),
        f"9812 {_HOLD} {_ANN} 02 a3766970 c3 c2 07",
    ),
    (WaitlistLeft(HOLD, ANN), f"9313 {_HOLD} {_ANN}"),
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


def test_holds_of_builds_without_price_books_are_read() -> None:
    payload = _payload(f"9601 {_HOLD} {_ANN} 9200cd012c 92cd03e8ce00011170 {_UNTIL}")
    held = SeatsHeld(HOLD, ANN, (0, 300), (1000, 70_000), UNTIL_US, 0, 0)
    assert decode_recorded(payload).event == held


def test_holds_of_builds_without_channels_are_read() -> None:
    payload = _payload(f"9801 {_HOLD} {_ANN} 9200cd012c 92cd03e8ce00011170 {_UNTIL} 07 05")
    held = SeatsHeld(HOLD, ANN, (0, 300), (1000, 70_000), UNTIL_US, 7, 5, 0)
    assert decode_recorded(payload).event == held


def test_changes_of_terms_of_former_builds_are_read() -> None:
    """Neither says which starts were told, nor who tells."""
    payload = _payload(f"950c 02 {_CONDITIONS} {_UNTIL} 00")
    recorded = Recorded(KEY, b"finger-8", TermsChanged(2, CONDITIONS, UNTIL_US, 0, (0, 0), b""))
    assert decode_recorded(payload) == recorded


@pytest.mark.parametrize(
    "stored",
    [
        f"990b 01 02 03 9300ff02 07 c0 {_SOLD_BY} {_OFFERS}",
        f"990c 02 {_CONDITIONS} {_UNTIL} 00 920102 {_binary(KEY)} {_SOLD_BY} {_OFFERS}",
        f"980d 03 a3696c6c 91{_HOLD} 9200cd012c 04 {_binary(KEY)} 91{_BOOKING}",
    ],
)
def test_changes_of_builds_that_did_not_say_whose_they_are_are_read(stored: str) -> None:
    event = decode_recorded(_payload(stored)).event
    assert isinstance(event, PlanChanged | TermsChanged | ShowtimeCancelled)
    assert event.by == b""


def test_events_from_before_holds_waited_for_payments_are_read() -> None:
    booked = f"9a05 {_HOLD} {_ANN} 9100 91cd03e8 {_BOOKING} {_CODE} {_PAYMENT} a464656d6f a3455552"
    event = decode_recorded(_payload(booked)).event
    assert isinstance(event, HoldBooked)
    assert not event.pending
    assert (event.fees_minor, event.tax_minor, event.types, event.lines) == (0, 0, (), ())
    started = (
        f"9d0e {_HOLD} {_ANN} 9100 91cd03e8 {_UNTIL} 01 {_BOOKING} {_CODE} {_PAYMENT}{_DEMO_EUR}09"
    )
    event = decode_recorded(_payload(started)).event
    assert isinstance(event, PaymentStarted)
    assert (event.before_start_s, event.fees_minor, event.promo_code) == (9, 0, "")
    cancelled = f"970d 03 a3696c6c 91{_HOLD} 9200cd012c 04 {_binary(KEY)}"
    event = decode_recorded(_payload(cancelled)).event
    assert isinstance(event, ShowtimeCancelled)
    assert event.unpaid == ()


def test_bookings_of_builds_that_did_not_keep_what_their_prices_follow_from_are_read() -> None:
    booked = f"dc001205 {_HOLD} {_ANN} 9100 91cd03e8 {_BOOKING} {_CODE} {_PAYMENT}{_DEMO_EUR}c2"
    event = decode_recorded(_payload(booked + _SOLD)).event
    assert isinstance(event, HoldBooked)
    assert (event.promo_code, event.book_version, event.sold_by) == ("TEN", 0, None)
    assert event.channel == 0


def test_cancellations_from_before_refund_policies_give_all_back() -> None:
    payload = _payload(f"9706 {_BOOKING} {_ANN} 9100 91cd03e8 90 90")
    event = decode_recorded(payload).event
    assert event == BookingCancelled(BOOKING, ANN, (0,), (1000,), (), ())
    assert isinstance(event, BookingCancelled)
    assert refund_of(event) == 1000


@pytest.mark.parametrize(
    ("stored", "event"),
    [
        (
            f"9803 {_HOLD} {_ANN} 9100 91cd03e8 90 90 {_UNTIL}",
            HoldReleased(HOLD, ANN, (0,), (1000,), (), (), UNTIL_US),
        ),
        (f"9304 {_HOLD} 9100", HoldExpired(HOLD, (0,))),
        (
            f"9b06 {_BOOKING} {_ANN} 9100 91cd03e8 90 90 ff 00 c400 00",
            BookingCancelled(BOOKING, ANN, (0,), (1000,), (), ()),
        ),
        ("9208 9101", SeatsUnblocked((1,))),
        ("910a", SalesResumed()),
        (
            f"970f {_HOLD} {_ANN} 9100 91cd03e8 {_BOOKING} c3",
            PaymentEnded(HOLD, ANN, (0,), (1000,), BOOKING, True),
        ),
        (
            f"9810 {_HOLD} {_ANN} 9100 91cd03e8 {_BOOKING} c2 c3",
            PaymentReturned(HOLD, ANN, (0,), (1000,), BOOKING, waited=False, expired=True),
        ),
    ],
)
def test_events_from_before_wait_lists_are_read(stored: str, event: AnyEvent) -> None:
    assert decode_recorded(_payload(stored)).event == event


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
        "9163",  # a tag of a later version
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
