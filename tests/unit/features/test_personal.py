"""JSON that is written piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from cinema.features.personal import json_list, json_object


async def pages(*given: Sequence[Any]) -> AsyncIterator[Sequence[Any]]:
    for page in given:
        yield page


@pytest.mark.parametrize("given", [[], [[]], [[1]], [[1, 2], [3]], [[], [{"a": "ü"}], []]], ids=str)
async def test_pages_make_one_array(given: list[list[Any]]) -> None:
    text = b"".join([piece async for piece in json_list(pages(*given))])
    assert msgspec.json.decode(text) == [item for page in given for item in page]
    assert text.endswith(b"\n")


async def test_an_object_is_written_to_be_read() -> None:
    (text,) = [piece async for piece in json_object({"name": "Ada"})]
    assert text == b'{\n  "name": "Ada"\n}\n'
