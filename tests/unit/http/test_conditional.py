"""Whether a client has already what it asks for."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from cinema.http.conditional import has_seen, tagged

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


def test_client_that_has_it_gets_only_the_tag() -> None:
    fresh = tagged(make_mocked_request("GET", "/"), TAG, b"body")
    again = tagged(make_mocked_request("GET", "/", headers={"If-None-Match": TAG}), TAG, b"body")
    assert (fresh.status, fresh.body) == (200, b"body")
    assert (again.status, again.body) == (304, b"")
    assert fresh.extra == again.extra == b'ETag: "3-42"\r\n'
