from __future__ import annotations

import msgspec
import pytest

from cinema.features.seats.shapes import ExtendInput, HoldInput, PartQuery


@pytest.mark.parametrize(
    "given", [{}, {"seats": None}, {"seats": ["F7"], "best_available": {"quantity": 2}}]
)
def test_a_hold_names_either_its_seats_or_what_would_be_best(given: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError, match="either seats or best_available"):
        msgspec.convert(given, HoldInput)


def test_a_hold_by_label_or_by_wish_is_understood() -> None:
    assert msgspec.convert({"seats": ["F7"]}, HoldInput).seats == ["F7"]
    wish = msgspec.convert({"best_available": {"quantity": 2}}, HoldInput).best_available
    assert wish is not None
    assert (wish.quantity, wish.category, wish.accessible) == (2, None, False)


def test_a_hold_can_only_be_extended_not_shortened() -> None:
    assert msgspec.convert({"extend": True}, ExtendInput).extend
    with pytest.raises(msgspec.ValidationError, match="extend must be true"):
        msgspec.convert({"extend": False}, ExtendInput)


def test_a_part_is_named_by_labels_with_commas_and_the_whole_by_none() -> None:
    assert PartQuery(seats="F7,F8").labels() == ["F7", "F8"]
    assert PartQuery().labels() is None
