"""Bodies and queries: what is readable, and what a client is told otherwise."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest

from cinema.domain.rejections import Refused, Rejection
from cinema.http.decoding import checked_idempotency_key, json_decoder, query_decoder


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    seats: Annotated[list[str], msgspec.Meta(min_length=1)]
    note: Annotated[str, msgspec.Meta(max_length=4)] = ""
    description: str = ""
    password: str = ""
    extra: dict[str, list[str]] = {}


class Filter(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    q: str | None = None
    movie_id: UUID | None = None


def refusal_of(call: Any, *args: Any) -> Rejection:
    with pytest.raises(Refused) as refused:
        call(*args)
    return refused.value.rejection


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"seats":["A1"],}',
        b'{"seats":["A1"]} x',
        b'{"seats":["\xff"]}',
        b'{"seats":["\\ud800"]}',
        b'{"note":1',
        b"[" * 100_000,
        b'{"extra":' * 10_000,
        b"\xef\xbb\xbf{}",
        b"NaN",
    ],
)
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    assert refusal_of(json_decoder(Wish), raw).code == "MALFORMED_JSON"


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"[]", "$"),
        (b"null", "$"),
        (b"{}", "$.seats"),
        (b'{"seats":[]}', "$.seats"),
        (b'{"seats":[1]}', "$.seats[0]"),
        (b'{"seats":["A1"],"seat":1}', "$.seat"),
        (b'{"seats":["A1"],"note":"a\\u0000b"}', "$.note"),
        (b'{"seats":["\\u0000"]}', "$.seats[0]"),
        (b'{"seats":["A1"],"extra":{"a":["\\u0000"]}}', "$.extra.a[0]"),
        ('{"seats":["A1"],"note":"a\u202eb"}'.encode(), "$.note"),
        (b'{"seats":["A1"],"note":"a\\u200bb"}', "$.note"),
        (b'{"seats":["A1"],"note":"a\x7fb"}', "$.note"),
        (b'{"seats":["A1"],"note":"a\\n"}', "$.note"),
        ('{"seats":["A\ufeff"]}'.encode(), "$.seats[0]"),
        (b'{"seats":["A1"],"extra":{"a\\u0007":[]}}', "$.extra"),
        (b'{"seats":["A1"],"description":"a\\u0000"}', "$.description"),
        (b'{"seats":["A1"],"password":"a\\u0000"}', "$.password"),
    ],
)
def test_json_of_another_form_is_refused_with_its_path(raw: bytes, path: str) -> None:
    refusal = refusal_of(json_decoder(Wish), raw)
    assert (refusal.code, refusal.details) == ("VALIDATION_ERROR", {"path": path})
    assert refusal.message


def test_escaped_backslash_before_u0000_is_ordinary_text() -> None:
    assert json_decoder(Wish)(b'{"seats":["\\\\u0000"]}').seats == ["\\u0000"]


def test_long_field_name_is_cut_in_the_answer() -> None:
    raw = msgspec.json.encode({"seats": ["A1"], "x" * 10_000: 1})
    refusal = refusal_of(json_decoder(Wish), raw)
    assert len(refusal.message) <= 500
    assert len(str(refusal.details)) < 600


def test_query_is_read_as_its_types() -> None:
    assert query_decoder(Filter)("limit=5&q=caf%C3%A9+x") == Filter(limit=5, q="café x")
    assert query_decoder(Filter)("") == Filter()


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=many",
        "limit=1&limit=2",
        "page=2",
        "q=%00",
        "q=%ff",
        "&".join(f"a{n}=1" for n in range(100)),
    ],
)
def test_unreadable_query_is_refused(query: str) -> None:
    assert refusal_of(query_decoder(Filter), query).code == "VALIDATION_ERROR"


@pytest.mark.parametrize("text", ["", "7", "x" * 36, "019a0c1e-7000-7000-8000-0000000000e"])
def test_what_is_no_id_is_named_in_plain_words(text: str) -> None:
    told = Rejection(
        code="VALIDATION_ERROR", message="This is not a UUID.", details={"path": "$.movie_id"}
    )
    assert refusal_of(query_decoder(Filter), f"movie_id={text}") == told
    assert refusal_of(json_decoder(Filter), msgspec.json.encode({"movie_id": text})) == told


def test_an_id_is_the_same_in_either_case() -> None:
    text = "019a0c1e-7000-7000-8000-0000000000e1"
    assert query_decoder(Filter)(f"movie_id={text.upper()}").movie_id == UUID(text)


@pytest.mark.parametrize("key", ["a", "a b~!", "x" * 128])
def test_printable_key_is_accepted(key: str) -> None:
    assert checked_idempotency_key(key) == key


@pytest.mark.parametrize("key", ["", "x" * 129, "ü", "a\tb", "a\n", "\udcff"])
def test_other_key_is_refused(key: str) -> None:
    assert refusal_of(checked_idempotency_key, key).code == "VALIDATION_ERROR"


def test_texts_become_composed() -> None:
    raw = '{"seats":["A1"],"note":"e\u0301","extra":{"u\u0308":["o\u0308"]}}'.encode()
    wish = json_decoder(Wish)(raw)
    assert (wish.note, wish.extra) == ("é", {"ü": ["ö"]})


def test_text_that_grows_when_composed_is_still_bounded() -> None:
    raw = '{"seats":["A1"],"note":"\u0958\u0958\u0958"}'.encode()
    refusal = refusal_of(json_decoder(Wish), raw)
    assert (refusal.code, refusal.details) == ("VALIDATION_ERROR", {"path": "$.note"})


def test_passwords_are_taken_as_they_are_and_paragraphs_have_lines() -> None:
    raw = '{"seats":["A1"],"password":"e\u0301\u200b","description":"one\\ntwo"}'.encode()
    wish = json_decoder(Wish)(raw)
    assert (wish.password, wish.description) == ("e\u0301\u200b", "one\ntwo")


def test_text_too_long_to_compose_is_left_as_it_is() -> None:
    long = "e\u0301" * 3000
    assert json_decoder(Wish)(msgspec.json.encode({"seats": [long]})).seats == [long]
