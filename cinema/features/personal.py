"""How a feature hands over what it knows of an account: files, in pieces, never all at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

PAGE_ROWS: Final = 100
"""Rows that are read and written together: so much of a large account is in memory."""

ENCODER: Final = msgspec.json.Encoder()


class PersonalFile(msgspec.Struct, frozen=True):
    """A file of an export; `pieces` are read once, one after the other."""

    name: str
    pieces: AsyncIterator[bytes]


Disclose = Callable[[UUID], AsyncIterator[PersonalFile]]
"""Gives the files with what a feature knows of an account: JSON, and documents such as PDFs.

No secrets and no digests of any, and nothing about other people. File names are the feature's own.
"""


async def json_list(pages: AsyncIterator[Sequence[Any]]) -> AsyncIterator[bytes]:
    """The pieces of a JSON array, an item a line."""
    lead = b"[\n"
    async for page in pages:
        if page:
            yield lead + b",\n".join(map(ENCODER.encode, page))
            lead = b",\n"
    yield b"[]\n" if lead == b"[\n" else b"\n]\n"


async def json_object(value: Any) -> AsyncIterator[bytes]:
    """The only piece of a JSON object."""
    yield msgspec.json.format(ENCODER.encode(value), indent=2) + b"\n"
