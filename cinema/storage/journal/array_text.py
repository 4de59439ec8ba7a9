"""Arrays in Postgres' text form, for statements that run thousands of times a second.

The driver checks of each element of a list whether it is a list itself, which takes longer than
everything else that it does for a batch. A text parameter, which the statement casts to an array,
is one value for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

_encode = msgspec.json.Encoder().encode


def integers_text(values: Sequence[int | None]) -> str:
    """For `$n::text::bigint[]`; JSON writes numbers and nulls as Postgres does."""
    return f"{{{_encode(values)[1:-1].decode()}}}"


def ids_text(ids: Iterable[bytes]) -> str:
    """For `$n::text::uuid[]`; each id is 16 raw bytes."""
    return f"{{{','.join([one.hex() for one in ids])}}}"


def joined(values: Sequence[bytes]) -> tuple[str, str, bytes]:
    """Values end to end: where each starts, its length, and all of them as one.

    For `substring(all from start for length)`, which counts from 1.
    """
    lengths = [len(value) for value in values]
    starts = list(accumulate(lengths, initial=1))
    starts.pop()
    return integers_text(starts), integers_text(lengths), b"".join(values)
