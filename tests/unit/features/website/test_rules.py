"""Which coding a client takes, and which addresses may be pages."""

from __future__ import annotations

import pytest

from cinema.features.website.rules import accepted, is_a_page


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("", {""}),
        ("gzip, deflate, br", {"gzip", "deflate", "br"}),
        ("br;q=0, gzip;q=0.5", {"gzip"}),
        ("br; q=0.0,GZIP", {"gzip"}),
        ("br;q=0.001", {"br"}),
    ],
)
def test_a_coding_counts_unless_it_is_refused(header: str, taken: set[str]) -> None:
    assert accepted(header) == taken


@pytest.mark.parametrize(
    ("path", "is_page"),
    [("/films/1", True), ("/bookings", True), ("/favicon.ico", False), ("/wp/login.php", False)],
)
def test_what_looks_like_a_file_is_no_page(path: str, *, is_page: bool) -> None:
    assert is_a_page(path) is is_page
