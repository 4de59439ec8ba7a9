from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from cinema.domain.idempotency import (
    ANONYMOUS,
    idempotency_key,
    key_digest,
    meaning,
    request_fingerprint,
)
from cinema.domain.seatmap import Layout
from cinema.features.accounts.shapes import RegisterInput
from cinema.features.bookings.shapes import BookingInput
from cinema.features.catalog.shapes import ScreenInput
from cinema.features.seats.shapes import HoldInput, PartQuery
from cinema.features.showtimes.shapes import ShowtimeInput

ALICE = b"a" * 16
BOB = b"b" * 16
HERE = (b"1" * 16,)
THERE = (b"2" * 16,)
ID = "019a0c1e-7000-7000-8000-0000000000af"
SHOWTIME = {
    "movie_id": ID,
    "screen_id": ID,
    "starts_at": "2026-06-01T18:00:00Z",
    "base_price": {"amount": 1000, "currency": "EUR"},
    "language": "en",
}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    sizes: list[int] = []
    weight: float = 0.0
    until: Annotated[datetime, Meta(tz=True)] | None = None
    inner: Wish | None = None


def fingerprint(text: str, shape: Any = Wish) -> bytes:
    return request_fingerprint(meaning(msgspec.json.decode(text, type=shape)))


def test_digests_have_the_promised_sizes() -> None:
    key = idempotency_key(ALICE, "addMovie", HERE, "k")
    assert (len(key.digest), len(key.fingerprint)) == (16, 8)


def test_same_request_has_the_same_name() -> None:
    bodies = [HoldInput(seats=["F7", "F8"]), HoldInput(seats=["F8", "F7"])]
    first, second = [idempotency_key(ALICE, "hold", HERE, "k", body) for body in bodies]
    assert first == second


def test_body_and_query_are_told_apart() -> None:
    part = PartQuery(seats="F7")
    of_body = idempotency_key(ALICE, "hold", HERE, "k", part, None)
    of_query = idempotency_key(ALICE, "hold", HERE, "k", None, part)
    assert of_body.digest == of_query.digest
    assert of_body.fingerprint != of_query.fingerprint


def test_key_is_scoped_to_principal_operation_and_ids() -> None:
    digests = {
        key_digest(ALICE, "hold", HERE, "k"),
        key_digest(BOB, "hold", HERE, "k"),
        key_digest(ANONYMOUS, "hold", HERE, "k"),
        key_digest(ALICE, "release", HERE, "k"),
        key_digest(ALICE, "hold", THERE, "k"),
        key_digest(ALICE, "hold", (), "k"),
        key_digest(ALICE, "hold", HERE + THERE, "k"),
        key_digest(ALICE, "hold", THERE + HERE, "k"),
        key_digest(ALICE, "hold", HERE, "l"),
    }
    assert len(digests) == 9


def test_parts_do_not_run_into_each_other() -> None:
    assert key_digest(ALICE, "a", (), "bc") != key_digest(ALICE, "ab", (), "c")
    assert key_digest(b"ab", "c", (), "k") != key_digest(b"a", "bc", (), "k")
    assert key_digest(ALICE, "a", (b"bc", b"d"), "k") != key_digest(ALICE, "a", (b"b", b"cd"), "k")


@pytest.mark.parametrize(
    "same",
    [
        '{"sizes": [2, 1], "name": "x", "inner": {"name": "y"}}',
        '{"name": "\\u0078", "inner": {"name": "y"}, "sizes": [2, 1]}',
        '{"name": "x", "sizes": [2, 1], "weight": 0, "until": null, "inner": {"name": "y"}}',
        '{"name": "x", "sizes": [2, 1], "weight": -0.0, "inner": {"name": "y", "sizes": []}}',
        ' {"name":"x","sizes":[2,1],"inner":{"inner":null,"weight":0.0,"name":"y"}}\n',
    ],
)
def test_spelling_and_defaults_do_not_count(same: str) -> None:
    usual = '{"name": "x", "sizes": [2, 1], "inner": {"name": "y"}}'
    assert fingerprint(same) == fingerprint(usual)


def test_what_is_asked_counts() -> None:
    asked = [
        '{"name": "x"}',
        '{"name": "y"}',
        '{"name": "x", "sizes": [1]}',
        '{"name": "x", "sizes": [1, 2]}',
        '{"name": "x", "sizes": [2, 1]}',
        '{"name": "x", "weight": 1}',
        '{"name": "x", "inner": {"name": "x"}}',
        '{"name": "x", "until": "2026-06-01T18:00:00Z"}',
        '{"name": "x", "until": "2026-06-01T18:00:01Z"}',
    ]
    assert len({fingerprint(one) for one in asked}) == len(asked)


def test_one_moment_and_one_number_are_the_same_however_written() -> None:
    moments = ["2026-06-01T18:00:00Z", "2026-06-01T20:00:00+02:00", "2026-06-01T18:00:00.000Z"]
    assert len({fingerprint(f'{{"name": "x", "until": "{one}"}}') for one in moments}) == 1
    numbers = ["[0.0]", "[-0.0]", "[0]"]
    assert len({fingerprint(one, list[float]) for one in numbers}) == 1


def test_a_field_that_a_later_version_adds_changes_nothing_for_those_who_leave_it_out() -> None:
    class Later(msgspec.Struct, frozen=True, kw_only=True):
        colour: str = "red"
        name: str

    assert fingerprint('{"name": "x"}', Later) == fingerprint('{"name": "x"}')


def test_seats_are_named_in_any_order() -> None:
    assert PartQuery(seats="F7,F8").meaning() == PartQuery(seats="F8,F7").meaning()
    assert PartQuery(seats="F7,F7").meaning() != PartQuery(seats="F7").meaning()
    wishes = [
        HoldInput(seats=["F7"]),
        HoldInput(seats=["F7", "F7"]),
        HoldInput(seats=["F7", "F8"]),
        msgspec.convert({"best_available": {"quantity": 1}}, HoldInput),
        msgspec.convert({"best_available": {"quantity": 2}}, HoldInput),
        msgspec.convert({"best_available": {"quantity": 2, "accessible": True}}, HoldInput),
        msgspec.convert({"best_available": {"quantity": 2, "category": "vip"}}, HoldInput),
    ]
    assert len({request_fingerprint(meaning(wish)) for wish in wishes}) == len(wishes)
    usual, explicit = [
        msgspec.convert({"best_available": {"quantity": 2, **more}}, HoldInput)
        for more in ({}, {"category": None, "accessible": False})
    ]
    assert meaning(usual) == meaning(explicit)


@pytest.mark.parametrize(
    ("shape", "body", "ids"),
    [
        (ShowtimeInput, {**SHOWTIME, "cinema_id": ID}, ("movie_id", "screen_id", "cinema_id")),
        (ScreenInput, {"cinema_id": ID, "name": "One"}, ("cinema_id",)),
        (
            BookingInput,
            {"showtime_id": ID, "hold_id": ID, "payment": {"method": "demo"}},
            ("showtime_id", "hold_id"),
        ),
    ],
)
def test_an_id_is_the_same_in_either_case(
    shape: Any, body: dict[str, Any], ids: tuple[str, ...]
) -> None:
    usual = meaning(msgspec.convert(body, shape))
    for name in ids:
        assert meaning(msgspec.convert({**body, name: ID.upper()}, shape)) == usual
        other = {**body, name: ID.replace("af", "ae")}
        assert meaning(msgspec.convert(other, shape)) != usual


def test_showtimes_differ_by_what_they_name_and_not_by_its_order() -> None:
    priced = {**SHOWTIME, "price_overrides": {"vip": 1, "sofa": 2}}
    turned = {**SHOWTIME, "price_overrides": {"sofa": 2, "vip": 1}}
    swapped = {**SHOWTIME, "price_overrides": {"sofa": 1, "vip": 2}}
    explicit = {**SHOWTIME, "price_overrides": {}, "format": "2D", "sales": {"opens_at": None}}
    first, second, third, plain, usual = [
        request_fingerprint(meaning(msgspec.convert(body, ShowtimeInput)))
        for body in (priced, turned, swapped, explicit, SHOWTIME)
    ]
    assert first == second
    assert plain == usual
    assert len({first, third, usual}) == 3


def test_layouts_are_the_same_with_their_defaults_written_out() -> None:
    def layout(seat: dict[str, Any], **more: Any) -> Any:
        rows = [{"label": "A", "seats": [{"number": 1, "category": "vip", **seat}]}]
        return meaning(msgspec.convert({"rows": rows, **more}, Layout))

    usual = layout({})
    assert layout({"gap_before": 0, "accessible": False, "companion": False}) == usual
    assert layout({}, focal=None) == usual
    others = [
        layout({"gap_before": 1}),
        layout({"accessible": True}),
        layout({"companion": True}),
        layout({"number": 2}),
        layout({"category": "sofa"}),
        layout({}, focal={"y": 1}),
        layout({}, focal={"y": 1, "x": 1}),
    ]
    assert len({request_fingerprint(one) for one in (usual, *others)}) == 8
    assert layout({}, focal={"y": -0.0}) == layout({}, focal={"y": 0})


def test_a_password_is_in_no_fingerprint() -> None:
    def account(**changes: str) -> object:
        usual = {"email": "Ada@Example.com", "password": "correct horse", "first_name": "Ada"}
        return meaning(msgspec.convert(usual | changes, RegisterInput))

    assert account(password="another horse") == account()
    assert account(email=" ada@example.com ", first_name="Ada ", last_name="") == account()
    assert account(email="eve@example.com") != account()
    assert account(email="no address") != account(email="none either")
    assert account(first_name="Eve") != account()
    assert account(last_name="Ada") != account()
