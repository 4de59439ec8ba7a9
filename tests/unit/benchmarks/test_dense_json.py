"""Results are kept on few lines, and say the same when they are read again."""

from __future__ import annotations

import json

from benchmarks.dense_json import LINE_CHARS, dense_json


def test_what_fits_stands_on_one_line() -> None:
    value = {"runs": [{"value": number, "name": "x" * 30} for number in range(3)], "wrong": []}
    assert dense_json(value).decode().splitlines() == [
        "{",
        ' "runs": [',
        f'  {{"value": 0, "name": "{"x" * 30}"}},',
        f'  {{"value": 1, "name": "{"x" * 30}"}},',
        f'  {{"value": 2, "name": "{"x" * 30}"}}',
        " ],",
        ' "wrong": []',
        "}",
    ]


def test_the_value_is_read_again_and_only_floats_are_shortened() -> None:
    value = {"a": 12345678, "b": 0.123456789, "c": "é", "d": None, "e": [[1.5] * 60], "f": {}}
    read = json.loads(dense_json(value))
    assert read == {**value, "b": 0.123457}


def test_a_long_text_is_not_broken() -> None:
    text = "x" * (2 * LINE_CHARS)
    assert dense_json([text]).decode() == f'[\n "{text}"\n]\n'
