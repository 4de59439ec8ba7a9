"""What features offer to those after them."""

from __future__ import annotations

import pytest

from cinema.features.node_parts import Offered


class Books:
    pass


class Films:
    pass


def test_a_part_is_found_by_its_class() -> None:
    books, films = Books(), Films()
    offered = Offered(films)
    assert offered.add(books) is books
    assert offered[Books] is books
    assert offered[Films] is films


def test_there_is_one_part_of_a_class() -> None:
    offered = Offered(Books())
    with pytest.raises(AssertionError, match="two parts are a Books"):
        offered.add(Books())


def test_a_part_that_nobody_has_offered_yet_is_missed_at_once() -> None:
    with pytest.raises(KeyError):
        Offered()[Books]
