"""Whether a client has already what it asks for, and has seen what it changes."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from cinema.http.conditional import has_seen, tagged, versions_seen

TAG = '"3-42"'


@pytest.mark.parametrize(
    ("header", "seen"),
    [
        (TAG, True),
        ("*", True),
        (f"W/{TAG}", True),
        (f'"1", {TAG}', True),
        ('"3-4"', False),
        ("3-42", False),
        ("", False),
    ],
)
def test_tag_is_compared_weakly_with_each_of_a_list(header: str, seen: bool) -> None:
    request = make_mocked_request("GET", "/", headers={"If-None-Match": header})
    assert has_seen(request, TAG) == seen


@pytest.mark.parametrize(
    ("headers", "versions"),
    [
        ([], None),
        (["*"], None),
        (['"1", *'], None),
        (['"3"'], {3}),
        (['"3","12" , "0"'], {3, 12, 0}),
        (['"3;17;4.12"'], {3}),
        (['"3;"', '"4;x"', '"5;1"x'], set()),
        (['"3"', '"4"'], {3, 4}),
        (['W/"3"'], set()),
        (["3"], set()),
        (['"03"'], set()),
        (['"-3"'], set()),
        (['"three", "3"'], {3}),
        ([f'"{"9" * 19}"'], set()),
        ([""], set()),
    ],
)
def test_versions_are_those_of_strong_tags_of_ours(
    headers: list[str], versions: set[int] | None
) -> None:
    sent = CIMultiDict([("If-Match", header) for header in headers])
    request = make_mocked_request("PUT", "/", headers=sent)
    assert versions_seen(request) == versions


def test_client_that_has_it_gets_only_the_tag() -> None:
    fresh = tagged(make_mocked_request("GET", "/"), TAG, b"body")
    again = tagged(make_mocked_request("GET", "/", headers={"If-None-Match": TAG}), TAG, b"body")
    assert (fresh.status, fresh.body) == (200, b"body")
    assert (again.status, again.body) == (304, b"")
    assert fresh.extra == again.extra == b'ETag: "3-42"\r\n'
